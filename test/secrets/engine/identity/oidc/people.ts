/**
 * Somebody with an identity, for tests of tokens that say who somebody is.
 */
import type { Test } from 'tap'
import { type Clock, systemClock, systemRandom } from '../../../../../src/base/clock.ts'
import { silentLog } from '../../../../../src/base/log.ts'
import {
  type Asked,
  type Got,
  openSecrets,
  type SecretsOptions,
  type TestSecrets,
} from '../../../harness.ts'

export interface Person {
  readonly entityId: string
  readonly token: string
  /** Of the mount that they log in at. */
  readonly accessor: string
}

/** Somebody who logged in by approle, in a namespace ('' for the root one). */
export async function person(
  secrets: TestSecrets,
  name: string,
  { policies = ['oidc'], namespace = '', metadata = {} } = {},
): Promise<Person> {
  const at = { namespace }
  const asked = async (path: string, data: Record<string, never | string | string[] | object>) => {
    const got = await secrets.post(path, data as never, at)
    if (got.status >= 300) throw new Error(`${path}: ${got.text}`)
    return got.body
  }
  const rules = 'path "identity/oidc/*" { capabilities = ["read", "update"] }'
  await asked('sys/policies/acl/oidc', { policy: rules })
  const mounted = await secrets.post('sys/auth/approle', { type: 'approle' }, at)
  if (mounted.status !== 204 && !/already in use/.test(mounted.text)) throw new Error(mounted.text)
  await asked(`auth/approle/role/${name}`, {
    token_policies: policies,
    bind_secret_id: 'false',
    token_bound_cidrs: '127.0.0.0/8',
  })
  const { role_id } = (await secrets.read(`auth/approle/role/${name}/role-id`, at)).body.data
  const { auth } = await asked('auth/approle/login', { role_id })
  await asked(`identity/entity/id/${auth.entity_id}`, { name, metadata })
  const mounts = (await secrets.read('sys/auth', at)).body.data
  return {
    ...{ entityId: auth.entity_id, token: auth.client_token },
    accessor: mounts['approle/'].accessor,
  }
}

/** Secrets whose clock a test moves, and what the timekeeper's holder would do. */
export async function openAged(t: Test, options: SecretsOptions = {}) {
  let aheadMs = 0
  const clock: Clock = { ...systemClock, wall: () => (systemClock.wall() + aheadMs) as never }
  const secrets = await openSecrets(t, { ...options, clock })
  const engine = secrets.engines.of('secret', 'identity')!
  return {
    secrets,
    /** Lets time go by, and ends what is over then; gives how many rows were. */
    async pass(ms: number): Promise<number> {
      aheadMs += ms
      let ended = 0
      await secrets.write(draft => {
        Object.defineProperty(draft, 'now', { value: clock.wall() })
        for (const area of ['oidc-keys', 'oidc-codes']) {
          const storage = draft.area('root', area)
          for (const path of storage.keys()) {
            const { kind, dueMs = Number.POSITIVE_INFINITY } = storage.header(path) ?? {}
            if (dueMs > clock.wall()) continue
            const place = { namespaceId: 'root', area, path }
            engine.ends!.find(end => end.kind === kind)!.end(draft, place)
            ended++
          }
        }
      })
      return ended
    },
    /** One round of the duty's work. */
    async work(): Promise<void> {
      const { store } = secrets
      const ports = { store, random: systemRandom, log: silentLog, barrier: () => secrets.barrier }
      const stop = new AbortController()
      // The wait between two rounds ends the duty.
      const after: Clock['after'] = () => {
        queueMicrotask(() => stop.abort())
        return { clear: () => {} }
      }
      const [duty] = engine.duties!({ ...ports, clock: { ...clock, after } })
      await duty!(stop.signal, decide => decide)
    },
  }
}

const OIDC = 'identity/oidc'

/** What a client is known by. */
export interface TestClient {
  readonly client_id: string
  readonly client_secret: string
}

/** The client of a name; it is made unless it is there. */
export async function clientOf(
  secrets: TestSecrets,
  name: string,
  more: NonNullable<Asked['data']> = {},
  namespace = '',
): Promise<TestClient> {
  const data = { redirect_uris: [CALLBACK], assignments: ['allow_all'], ...more }
  const made = await secrets.post(`${OIDC}/client/${name}`, data, { namespace })
  if (made.status !== 204) throw new Error(made.text)
  const { data: shown } = (await secrets.read(`${OIDC}/client/${name}`, { namespace })).body
  return { client_secret: '', ...shown }
}

export const CALLBACK = 'https://shop.example.com/callback'

/** Somebody asks for a code. */
export const authorize = (
  secrets: TestSecrets,
  { token }: Pick<Person, 'token'>,
  { client_id }: Pick<TestClient, 'client_id'>,
  { data = {}, provider = 'default', namespace = '' }: Partial<Grant> = {},
): Promise<Got> =>
  secrets.post(
    `${OIDC}/provider/${provider}/authorize`,
    {
      ...{ client_id, scope: 'openid', redirect_uri: CALLBACK, response_type: 'code' },
      ...data,
    },
    { token, namespace },
  )

export interface Grant {
  readonly data: NonNullable<Asked['data']>
  readonly provider: string
  readonly namespace: string
}

export const basic = ({ client_id, client_secret }: TestClient): string =>
  `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}`

/** A client redeems a code. */
export const redeem = (
  secrets: TestSecrets,
  code: string,
  client: TestClient,
  { data = {}, provider = 'default', namespace = '' }: Partial<Grant> = {},
): Promise<Got> =>
  secrets.post(
    `${OIDC}/provider/${provider}/token`,
    { grant_type: 'authorization_code', code, redirect_uri: CALLBACK, ...data },
    { token: '', namespace, authorization: basic(client) },
  )

/** A client asks for what an access token is for. */
export const userinfo = (
  secrets: TestSecrets,
  token: string,
  { provider = 'default', namespace = '' }: Partial<Grant> = {},
): Promise<Got> =>
  secrets.read(`${OIDC}/provider/${provider}/userinfo`, {
    ...{ token, namespace, authorization: `Bearer ${token}` },
  })
