/**
 * Rights that methods declare where they are no fixed list.
 *
 * Owns these declarations alone, and evaluates none.
 */
import type { Access } from '../../base/who.ts'

/**
 * The room leaves out what may not be seen, or asks for what depends on what is stored; a token
 * that nobody has is refused all the same.
 */
export const byRoom = (): readonly Access[] => []
