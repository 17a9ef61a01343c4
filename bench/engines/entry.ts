/** Entry of a contender's process: it loads one engine and no other. */
import { serveContender } from '../serve.js'

serveContender(async (engine) => (await import(`./${engine}.js`)).load)
