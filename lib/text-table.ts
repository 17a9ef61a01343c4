import { stripVTControlCharacters } from 'node:util'

/** A column of a text table. Numbers read best aligned `right`; the default is `left`. */
export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
}

/**
 * Lines of text in aligned columns under a header and a rule: no trailing spaces, no trailing newline.
 * Cells may carry colour codes; they take no width. A missing cell is empty.
 *
 * @param columns titles, or titles with an alignment
 * @param rows one array of cells a row; numbers are written as `String` writes them
 */
export function textTable(columns: readonly (string | Column)[], rows: readonly (readonly (string | number)[])[]): string {
  const heads = columns.map((column) => (typeof column === 'string' ? { title: column } : column))
  const cells = rows.map((row) => heads.map((_, c) => String(row[c] ?? '')))
  const widths = heads.map((head, c) => Math.max(textWidth(head.title), ...cells.map((row) => textWidth(row[c] ?? ''))))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, c) => pad(cell, widths[c] ?? 0, heads[c]?.align ?? 'left'))
      .join('  ')
      .trimEnd()
  return [line(heads.map((head) => head.title)), widths.map((width) => '─'.repeat(width)).join('  '), ...cells.map(line)].join('\n')
}

/** Columns that a text takes on a terminal, colour codes not counted. */
export function textWidth(text: string): number {
  return [...stripVTControlCharacters(text)].length
}

/** Fills a text with spaces to `width` columns; a longer one stays as it is. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const space = ' '.repeat(Math.max(0, width - textWidth(text)))
  return align === 'left' ? text + space : space + text
}

/** A count in three digits with a prefix: 950, 1.23 k, 45.6 M, 7.89 G; with a unit 950 MACs, 1.23 kMACs. */
export function formatCount(n: number, unit = ''): string {
  for (const [prefix, scale] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    // 999,999 rounds to 1.00 M, not to 1000 k
    if (n >= scale * 0.9995) return `${threeDigits(n / scale)} ${prefix}${unit}`
  }
  return unit ? `${n} ${unit}` : String(n)
}

/** A time in three digits: 0.139 ms, 12.3 ms, 1.68 s, 1200 s. */
export function formatMilliseconds(ms: number): string {
  const [x, unit] = ms < 999.5 ? [ms, 'ms'] : [ms / 1000, 's'] // 999.6 rounds to 1.00 s, not to 1.00e+3 ms
  return `${x < 999.5 ? x.toPrecision(3) : x.toFixed(0)} ${unit}`
}

function threeDigits(x: number): string {
  return x.toFixed(x < 9.995 ? 2 : x < 99.95 ? 1 : 0)
}
