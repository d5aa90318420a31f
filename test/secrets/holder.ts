/**
 * Tokens with given policies, as logins would make them.
 */
import { rootToken } from '../../src/secrets/initial.ts'
import { putToken, type TokenRow } from '../../src/secrets/token/token.ts'
import type { TestSecrets } from './harness.ts'

/** Makes a token of the given secret. */
export async function putHolder(
  secrets: TestSecrets,
  secret: string,
  row: Partial<TokenRow>,
): Promise<void> {
  await secrets.write(draft => {
    putToken(draft, draft.barrier.hashOf(secret), { ...rootToken(draft), policies: [], ...row })
  })
}
