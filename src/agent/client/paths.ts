/**
 * Which paths an agent answers itself.
 *
 * Owns the matching of a request's path against declared ones, before anything is routed. What
 * matches none is a server's to answer, also if this version does not know it.
 */
import type { PathDeclaration } from '../../http/declare.ts'

/** Tells whether a path, without its query, is one of those that are declared. */
export function pathMatcher(
  paths: readonly Pick<PathDeclaration, 'path'>[],
): (path: string) => boolean {
  const whole = new Set<string>()
  const open: { readonly prefix: string; readonly suffix: string }[] = []
  for (const { path } of paths) {
    const at = path.indexOf('{')
    if (at < 0) whole.add(path)
    else open.push({ prefix: path.slice(0, at), suffix: path.slice(path.indexOf('}') + 1) })
  }
  return path =>
    whole.has(path) ||
    open.some(({ prefix, suffix }) => path.startsWith(prefix) && path.endsWith(suffix))
}
