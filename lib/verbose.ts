/** What `TVN_VERBOSE` may ask for, separated by commas: each is told on stderr. */
export type Topic = 'decode' | 'dispatch'

export function isVerbose(topic: Topic): boolean {
  return (process.env.TVN_VERBOSE ?? '').split(',').includes(topic)
}

/** One line on stderr when TVN_VERBOSE asks for the topic. */
export function log(topic: Topic, message: string): void {
  if (isVerbose(topic)) process.stderr.write(`${topic}: ${message}\n`)
}
