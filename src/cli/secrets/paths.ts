/**
 * Paths as people write them.
 *
 * Owns their slashes. Nothing else of a path is changed: the server says what it may be.
 */

/** Without slashes and white space around it. */
export const barePath = (path: string): string => path.trim().replace(/^\/+|\/+$/g, '')

/** With one slash at its end, as mounts are named. */
export const mountPath = (path: string): string => {
  const bare = path.trim().replace(/\/+$/, '')
  return bare === '' ? '' : `${bare}/`
}

/** Parts with one slash between; empty ones are left out. */
export const joined = (...parts: readonly string[]): string =>
  parts
    .map(part => part.replace(/^\/+|\/+$/g, ''))
    .filter(part => part !== '')
    .join('/')
