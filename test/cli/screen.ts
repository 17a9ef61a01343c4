/** The lines that a terminal shows after this output: what `\r`, line feeds, `CSI n A` (up), `CSI J` and `CSI K` (erase) make of it. Blanks at the end are left out. */
export function screenOf(text: string): string[] {
  const lines: string[][] = [[]]
  let [row, column] = [0, 0]
  for (const [piece, up, erase] of text.matchAll(/\x1b\[(\d+)A|\x1b\[([JK])|[^]/gu)) {
    if (up !== undefined) row = Math.max(0, row - Number(up))
    else if (erase !== undefined) {
      lines[row]?.splice(column)
      if (erase === 'J') lines.splice(row + 1)
    } else if (piece === '\r') column = 0
    else if (piece === '\n') {
      row++
      column = 0
      lines[row] ??= []
    } else (lines[row] as string[])[column++] = piece
  }
  const shown = lines.map((line) => line.join('').trimEnd())
  return shown.slice(0, shown.findLastIndex((line) => line !== '') + 1)
}
