/**
 * What a token of the registry may do with secrets: where that lies.
 *
 * Owns the key of such a row, which is sealed for the token's own hash, and that it goes with the
 * token. What it says is known to the secrets alone; to take one away nothing has to be opened.
 */
import { type Bytes, fromText } from '../../base/bytes.ts'
import { del, type Op } from '../store.ts'
import type { Reader } from '../view.ts'
import { secretData } from './secret.ts'

/** The area of these rows, of the root namespace: the key in it is that of the token's row. */
export const GRANTS_AREA = 'grants'

const FOLDER = fromText(`root/${GRANTS_AREA}/`)

/** What takes a token's grant away, where it has one. */
export function endOfGrant(view: Reader, tokenKey: Bytes): Op[] {
  const key = FOLDER + tokenKey
  return view.get(secretData, key) === undefined ? [] : [del(secretData, key)]
}
