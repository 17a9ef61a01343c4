/** `npm run bench:table`: writes the table of docs/performance.md anew from the newest result. */
import { updateDocs } from './results.js'

updateDocs()
