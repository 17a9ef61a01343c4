import { parseLimit } from '../latency/limit.js'
import { type LatencyReport, reportsOf } from '../latency/measure.js'
import { formatMilliseconds } from '../text-table.js'

/** Why a network with so many parameters is rejected; undefined when it is not. */
export function parametersReason(params: number, maxParams: number): string | undefined {
  return params > maxParams ? `parameters: ${params} > ${maxParams}` : undefined
}

/** Why a network with this latency is rejected; undefined when it meets the limits on all devices, or when there are none. */
export function latencyReason(latency: LatencyReport): string | undefined {
  const reasons = reportsOf(latency).map((report) => ({ verdict: report.verdict, reason: reasonOf(report) }))
  return (reasons.find(({ verdict }) => verdict === 'fails') ?? reasons.find(({ reason }) => reason !== undefined))?.reason
}

function reasonOf(latency: LatencyReport): string | undefined {
  const { verdict, limits = [], samples } = latency
  if (verdict === undefined || verdict === 'meets') return undefined
  const figures = [...new Set(limits.map((text) => figure(latency, parseLimit(text).percentile)))].join(', ')
  if (verdict === 'fails') return `latency: ${figures}, limit ${limits.join(' and ')}`
  return `latency too noisy to say: ${figures} after ${samples} runs, limit ${limits.join(' and ')}`
}

/** The figure of the report that is nearest to a percentile. */
function figure({ p50, p90, p99 }: LatencyReport, percentile: number): string {
  const [name, value] = percentile < 70 ? ['p50', p50] : percentile < 95 ? ['p90', p90] : ['p99', p99]
  return `${name} ${formatMilliseconds(value)}`
}

/** The category of a reason, for counting: what stands before its colon. */
export function reasonCategory(reason: string): string {
  return reason.split(':', 1)[0] as string
}
