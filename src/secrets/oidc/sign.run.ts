/**
 * Signing tokens: by threads where a key is slow.
 *
 * Owns nothing else.
 */
import { Refusal } from '../../base/errors.ts'
import type { Arithmetic } from '../../base/io/arithmetic.ts'
import type { KeyRow } from './rows.ts'
import type { Claims } from './template.ts'
import { signed, unsigned } from './token.ts'

/** A token with these claims, signed by the key; refused where it would be too long. */
export async function signToken(
  arithmetic: Arithmetic,
  row: KeyRow,
  claims: Claims,
): Promise<string | Refusal> {
  const token = unsigned(row, claims)
  return token instanceof Refusal ? token : signed(token, await arithmetic.sign(token.input))
}
