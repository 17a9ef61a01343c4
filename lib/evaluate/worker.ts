/** Entry of a worker process: started by the pool, never by hand. */
import type { Setup } from './messages.js'
import { serve } from './serve.js'
import { createTaskHandlers } from './tasks.js'

serve((setup: Setup) => createTaskHandlers(setup))
