/**
 * An engine of the tests that gives names for a time and takes them back, and secrets whose time is
 * kept as on the server that holds the role.
 */
import type { Test } from 'tap'
import { systemRandom } from '../../../src/base/clock.ts'
import { silentLog } from '../../../src/base/log.ts'
import { sealedRowDeadline } from '../../../src/secrets/deadline.ts'
import { type Engine, path } from '../../../src/secrets/declare.ts'
import { enginesOn } from '../../../src/secrets/engine/mod.ts'
import { str } from '../../../src/secrets/field.ts'
import { leaseEnd, tokenEnd } from '../../../src/secrets/lease/ends.ts'
import { registerLease, shownId } from '../../../src/secrets/lease/lease.ts'
import { revocationDuty } from '../../../src/secrets/lease/revoke.run.ts'
import { removalEnd } from '../../../src/secrets/mount/removal.ts'
import * as shape from '../../../src/secrets/shape.ts'
import { Timekeeper } from '../../../src/store/timekeeper.ts'
import type { FakeClock } from '../../fake/clock.ts'
import { openSecrets, type SecretsOptions, type TestSecrets } from '../harness.ts'
import { testPorts } from '../ports.ts'

/** Secrets with such an engine at `giving/`. */
export interface Giving {
  readonly secrets: TestSecrets
  readonly clock: FakeClock
  /** Names that were taken back, in order. */
  readonly taken: string[]
  /** Mounts, without their slash, that take nothing back now. */
  readonly stuck: Set<string>
  /** How often one was to take something back. */
  readonly tries: number
  /** Stops who keeps the time, and lets another one do so. */
  stop(): Promise<void>
  keepTime(holder: string): Promise<void>
}

export async function openGiving(
  t: Test,
  clock: FakeClock,
  options: SecretsOptions = {},
): Promise<Giving> {
  const state = { taken: [] as string[], stuck: new Set<string>(), tries: 0 }
  const engines = enginesOn(testPorts()) as Engine[]
  engines.push(givingEngine(state))
  const secrets = await openSecrets(t, { ...options, clock, engines })
  await secrets.mount('giving', 'giving/')
  const { store } = secrets
  const barrier = () => secrets.barrier
  const ports = { store, clock, random: systemRandom, log: silentLog }
  let keeper: Timekeeper | undefined
  const keepTime = async (holder: string): Promise<void> => {
    keeper = new Timekeeper(ports, {
      ...{ role: 'secrets', holder },
      kinds: [sealedRowDeadline([tokenEnd, leaseEnd, removalEnd(engines)], barrier)],
      duties: [revocationDuty({ ...ports, barrier, engines })],
    })
    keeper.start()
    await clock.advance(1)
  }
  await keepTime('one')
  return Object.assign(state, { secrets, clock, keepTime, stop: async () => keeper!.stop() })
}

interface State {
  readonly taken: string[]
  readonly stuck: Set<string>
  tries: number
}

function givingEngine(state: State): Engine {
  let given = 0
  const paths = [
    path({
      pattern: 'creds/{role}',
      help: { synopsis: 'Gives a name.', description: '' },
      fields: { role: str('Any.') },
      access: 'authorized',
      operations: {
        read: {
          summary: 'Gives a name.',
          effect: 'writes',
          answer: shape.object({ name: shape.text }),
          run(call) {
            const { draft, mount, who } = call
            const name = `${mount.path}${++given}`
            const lease = registerLease(draft, {
              ...{ mount, who: who!, data: { name }, renewable: true },
              path: mount.path + call.path,
              ...{ ttlMs: 60_000, maxTtlMs: 120_000 },
            })
            const { renewable, ttlMs } = lease
            return {
              data: { name },
              lease: { id: shownId(lease), renewable, durationS: ttlMs / 1_000 },
            }
          },
        },
      },
    }),
  ]
  return {
    type: 'giving',
    kind: 'secret',
    help: 'Gives names.',
    isMountable: true,
    paths: () => paths,
    async revoke(_draft, mount, lease) {
      state.tries++
      if (state.stuck.has(mount.path.slice(0, -1))) throw new Error('no answer')
      state.taken.push(lease.data.name as string)
    },
  }
}
