/**
 * Tokens with given policies, as logins would make them.
 */
import { rootTokenRow } from '../../src/secrets/initial.ts'
import { issueToken, type NewToken } from '../../src/secrets/token/issue.ts'
import type { TestSecrets } from './harness.ts'

/** Makes a token of the given secret. */
export async function putHolder(
  secrets: TestSecrets,
  secret: string,
  row: Partial<NewToken>,
): Promise<void> {
  await secrets.write(draft => {
    issueToken(draft, { ...rootTokenRow, policies: [], ...row }, secret)
  })
}
