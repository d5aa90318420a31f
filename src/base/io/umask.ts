/**
 * The rights of files that this process makes: its owner's alone, whatever it was started with.
 *
 * Owns the mask. Libraries that make files of their own, LevelDB first of all, ask nobody for their
 * rights; and a folder that was there and holds something keeps its own. Programs that we start
 * get the mask that we were started with.
 */

const OTHERS = 0o077
let inherited: number | undefined

/** From now on new files and folders are for this user alone. */
export function makeFilesPrivate(): void {
  if (inherited !== undefined) return
  inherited = process.umask(OTHERS)
  process.umask(OTHERS | inherited)
}

/** The mask that this process was started with, where it was changed since. */
export const inheritedUmask = (): number | undefined => inherited
