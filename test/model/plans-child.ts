import { measurePlans } from '../../bench/plans.js'

/** Prints how much this process grows while it makes as many plans as its argument says. */
process.stdout.write(JSON.stringify(await measurePlans(Number(process.argv[2]))))
