import { mkdir, stat } from 'node:fs/promises'
import path from 'node:path'

/**
 * Makes a folder and what is missing above it, one after the other: Node's own `recursive` never returns where the system says ENOENT although
 * the parent exists, as /proc does. Throws what mkdir throws.
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return
    const parent = path.dirname(path.resolve(folder))
    if (code !== 'ENOENT' || parent === path.resolve(folder) || (await exists(parent))) throw error
    await makeFolder(parent)
    await makeFolder(folder)
  }
}

export async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  )
}
