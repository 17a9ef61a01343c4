/**
 * The first key that an object of a JSON text holds twice, or undefined; `JSON.parse` would silently keep the last one.
 * The text must be valid JSON.
 */
export function duplicateKey(json: string): string | undefined {
  // One entry an open bracket: the keys seen so far, or undefined for an array.
  const open: (Set<string> | undefined)[] = []
  for (let at = 0; at < json.length; at++) {
    const char = json[at]
    if (char === '{') open.push(new Set())
    else if (char === '[') open.push(undefined)
    else if (char === '}' || char === ']') open.pop()
    else if (char === '"') {
      const end = stringEnd(json, at)
      if (isKey(json, end)) {
        const keys = open.at(-1) as Set<string>
        const key = JSON.parse(json.slice(at, end)) as string
        if (keys.has(key)) return key
        keys.add(key)
      }
      at = end - 1
    }
  }
  return undefined
}

/** Where the text that begins at `start` ends: behind its closing quote. */
function stringEnd(json: string, start: number): number {
  let at = start + 1
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1
  return at + 1
}

/** A text is a key when a colon follows it. */
function isKey(json: string, end: number): boolean {
  let at = end
  while (json[at] === ' ' || json[at] === '\n' || json[at] === '\r' || json[at] === '\t') at++
  return json[at] === ':'
}
