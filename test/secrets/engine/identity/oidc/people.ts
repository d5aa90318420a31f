/**
 * Somebody with an identity, for tests of tokens that say who somebody is.
 */
import type { Test } from 'tap'
import { type Clock, systemClock, systemRandom } from '../../../../../src/base/clock.ts'
import { silentLog } from '../../../../../src/base/log.ts'
import { openSecrets, type SecretsOptions, type TestSecrets } from '../../../harness.ts'

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
