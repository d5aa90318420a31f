/**
 * Where the files of our own package lie, whether its sources run or what was emitted of them,
 * which is joined into files at other places.
 *
 * Owns that difference: nobody else builds a path on where his own file lies.
 */
import path from 'node:path'

/** `src` or `dist` and what it lies in: the last folder of the two on the way to this file. */
const [, folder = '', form = 'src'] =
  /^(.*)[/\\](src|dist)(?=[/\\]|$)/.exec(import.meta.dirname) ?? []

/** A file that is no code, by its path in the package. */
export const packageFile = (name: string): string => path.join(folder, name)

/**
 * The file to start a thread or process with, by its path below `src` without `.ts`. Such files are
 * inputs of rolldown.config.ts as well.
 */
export const startFile = (name: string): string =>
  path.join(folder, form, `${name}${path.extname(import.meta.filename)}`)
