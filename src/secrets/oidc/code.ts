/**
 * Authorization codes (RFC 6749, section 4.1.2): what somebody let a client have, for whoever shows
 * the code, once.
 *
 * Owns where they lie (any server of a cluster may be shown one), how long, and how many somebody
 * may have waiting. The code itself is kept nowhere. Pure.
 */
import { hash } from 'node:crypto'
import { base62 } from '../../base/base62.ts'
import { fromText } from '../../base/bytes.ts'
import { limits } from '../../base/limits.ts'
import type { RowEnd } from '../deadline.ts'
import type { Draft } from '../storage.ts'
import { CODE_AREA, type CodeRow, codeRows } from './rows.ts'

const CODE_CHARS = 32
const CODE = 'oidc-code'

/** Where what a code stands for lies, whether there is anything or not. */
const pathOf = ({ barrier }: Draft, code: string): string => barrier.hashOf(`oidc code\0${code}`)

/** Gives a code; undefined where somebody has too many of them. */
export function giveCode(draft: Draft, namespaceId: string, row: CodeRow): string | undefined {
  const folder = fromText(`${namespaceId}/${CODE_AREA}-of/${row.entityId}/`)
  const waiting = draft.inFolder(folder, limits.oidcCodesOfEntity)
  if (waiting.length >= limits.oidcCodesOfEntity) return undefined
  const code = base62(draft.random, CODE_CHARS)
  const dueMs = draft.now + limits.oidcCodeTtlMs
  codeRows(draft, namespaceId).put(pathOf(draft, code), row, {
    ...{ kind: CODE, dueMs, folders: [folder] },
  })
  return code
}

/** A code that somebody shows. */
export interface ShownCode {
  /** What it is forgotten by. */
  readonly path: string
  readonly row: CodeRow
}

/** What a code stands for; undefined where it is over, was used, or is none. */
export function codeAt(draft: Draft, namespaceId: string, code: string): ShownCode | undefined {
  const rows = codeRows(draft, namespaceId)
  const path = pathOf(draft, code)
  const dueMs = rows.dueMs(path)
  if (dueMs === undefined || dueMs <= draft.now) return undefined
  return { path, row: rows.get<CodeRow>(path)! }
}

/** Whether a verifier is the one that a code was asked for with (RFC 7636, section 4.6). */
export function isVerifier(
  { text, method }: NonNullable<CodeRow['challenge']>,
  verifier: string,
): boolean {
  const made = method === 'plain' ? verifier : hash('sha256', verifier, 'base64url')
  // It is told to nobody, and good for nothing without the code: how long it takes tells nothing.
  return made === text
}

/** RFC 7636, section 4.2. */
export const isChallenge = (text: string): boolean => /^[A-Za-z0-9._~-]{43,128}$/.test(text)

export const codeEnds: readonly RowEnd[] = [
  {
    kind: CODE,
    end(draft, { namespaceId, area, path }) {
      const rows = draft.area(namespaceId, area)
      const dueMs = rows.dueMs(path)
      if (dueMs !== undefined && dueMs <= draft.now) rows.delete(path)
    },
  },
]
