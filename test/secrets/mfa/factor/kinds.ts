/** Each kind of factor beside its fake, for what holds of all of them. */
import type { Test } from 'tap'
import { factorAsks } from '../../../../src/secrets/mfa/factor/asks.run.ts'
import type {
  DuoConfig,
  FactorAsks,
  FactorOutcome,
  OktaConfig,
  PingidConfig,
} from '../../../../src/secrets/mfa/factor/factor.ts'
import { duoLets, FakeDuo } from './fake/duo.ts'
import { FakeOkta, oktaLets } from './fake/okta.ts'
import { FakePingid, pingidLets } from './fake/pingid.ts'
import type { Answer, FakeService } from './fake/service.ts'
import { type FactorWorld, factorWorld } from './world.ts'

/** What a login brings; what is not said is a user who is known, without a passcode. */
export interface Login {
  readonly username?: string
  readonly passcode?: string
  readonly remoteAddress?: string
  readonly signal?: AbortSignal
}

export interface Trial<Fake extends FakeService = FakeService, Config = unknown> {
  readonly kind: string
  readonly fake: Fake
  readonly world: FactorWorld
  readonly config: Config
  /** What no reason may hold. */
  readonly secrets: readonly string[]
  ask(login?: Login, config?: Partial<Config>): Promise<FactorOutcome>
  /** Whether an answer of the service lets the user in. */
  lets(answer: Answer): boolean
}

const NOBODYS: AbortSignal = new AbortController().signal

function asking<Config>(
  ask: FactorAsks[keyof FactorAsks],
  config: Config,
  known: string,
): Trial<FakeService, Config>['ask'] {
  return ({ username = known, passcode, remoteAddress = '', signal = NOBODYS } = {}, more = {}) =>
    ask({ ...config, ...more } as never, username, passcode, { remoteAddress, signal })
}

export async function duoTrial(
  t: Test,
  world = factorWorld(t),
): Promise<Trial<FakeDuo, DuoConfig>> {
  const fake = await new FakeDuo(world.tls).listen(t)
  fake.nowMs = () => world.clock.wall()
  const { integrationKey, secretKey } = fake
  const config: DuoConfig = {
    ...{ apiHostname: `api-1.duo.test:${fake.port}`, integrationKey, secretKey },
    ...{ pushInfo: '', usePasscode: false },
  }
  const { duo } = factorAsks(world.ports)
  const secrets = [secretKey, integrationKey, '123456']
  return {
    ...{ kind: 'duo', fake, world, config, secrets, lets: duoLets },
    ask: asking(duo, config, 'marcher'),
  }
}

export async function oktaTrial(
  t: Test,
  world = factorWorld(t),
): Promise<Trial<FakeOkta, OktaConfig>> {
  const fake = await new FakeOkta(world.tls).listen(t)
  const config: OktaConfig = {
    ...{ orgName: 'acme', baseUrl: `okta.test:${fake.port}`, apiToken: fake.token },
    primaryEmail: false,
  }
  const { okta } = factorAsks(world.ports)
  return {
    ...{ kind: 'okta', fake, world, config, secrets: [fake.token], lets: oktaLets },
    ask: asking(okta, config, 'isaac.brock@example.com'),
  }
}

export async function pingidTrial(
  t: Test,
  world = factorWorld(t),
): Promise<Trial<FakePingid, PingidConfig>> {
  const fake = await new FakePingid(world.tls).listen(t)
  fake.nowMs = () => world.clock.wall()
  const { key, token, orgAlias } = fake
  const config: PingidConfig = {
    ...{ useBase64Key: key, useSignature: true, token, orgAlias },
    idpUrl: `https://idp.ping.test:${fake.port}/pingid`,
    ...{ adminUrl: '', authenticatorUrl: '' },
  }
  const { pingid } = factorAsks(world.ports)
  const secrets = [key, token, '111111']
  return {
    ...{ kind: 'pingid', fake, world, config, secrets, lets: pingidLets },
    ask: asking(pingid, config, 'marcher'),
  }
}

export const trials: readonly ((t: Test, world?: FactorWorld) => Promise<Trial>)[] = [
  duoTrial,
  oktaTrial,
  pingidTrial,
] as never
