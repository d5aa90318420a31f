/** What tests of approle begin with: the method mounted, a role, and the way in. */
import type { Test } from 'tap'
import type { Clock } from '../../../../src/base/clock.ts'
import { type Asked, type Got, openSecrets, type TestSecrets } from '../../harness.ts'

export type Data = NonNullable<Asked['data']>

export const AT = 'auth/approle'

export async function openApprole(t: Test, clock?: Clock): Promise<TestSecrets> {
  const secrets = await openSecrets(t, clock === undefined ? {} : { clock })
  await secrets.mount('approle', 'approle/', { kind: 'auth' })
  return secrets
}

/** Makes a role; gives its id. */
export async function makeRole(
  secrets: TestSecrets,
  name: string,
  role: Data = {},
): Promise<string> {
  const made = await secrets.post(`${AT}/role/${name}`, role)
  if (made.status >= 300) throw new Error(made.text)
  return (await secrets.read(`${AT}/role/${name}/role-id`)).body.data.role_id as string
}

/** Draws a secret id; gives it with its accessor. */
export async function drawSecretId(secrets: TestSecrets, role: string, data: Data = {}) {
  const got = await secrets.post(`${AT}/role/${role}/secret-id`, data)
  if (got.status !== 200) throw new Error(got.text)
  return got.body.data as { secret_id: string; secret_id_accessor: string }
}

export const logIn = (
  secrets: TestSecrets,
  role_id: string,
  secret_id = '',
  asked: Asked = {},
): Promise<Got> => secrets.post(`${AT}/login`, { role_id, secret_id }, { token: '', ...asked })
