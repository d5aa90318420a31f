/**
 * Secrets with people who log in by userpass, and a second factor that they are asked for.
 */
import type { Test } from 'tap'
import { FakeClock } from '../../fake/clock.ts'
import {
  type Asked,
  type Got,
  openSecrets,
  type SecretsOptions,
  type TestSecrets,
} from '../harness.ts'
import { Phone } from './phone.ts'

const PASSWORD = 'correct horse'

export class MfaWorld {
  readonly secrets: TestSecrets
  readonly clock: FakeClock

  constructor(secrets: TestSecrets, clock: FakeClock) {
    this.secrets = secrets
    this.clock = clock
  }

  /** The data of an answer that must be one. */
  async data(got: Promise<Got>): Promise<Record<string, never>> {
    const { status, body, text } = await got
    if (status >= 300) throw new Error(text)
    return body.data
  }

  async accessorOf(mount = 'userpass', asked: Asked = {}): Promise<string> {
    const { [`${mount}/`]: row } = await this.data(this.secrets.read('sys/auth', asked))
    return (row as unknown as { accessor: string }).accessor
  }

  async addUser(name: string, asked: Asked = {}, more: object = {}): Promise<void> {
    const data = { password: PASSWORD, ...more }
    await this.data(this.secrets.post(`auth/userpass/users/${name}`, data, asked))
  }

  /** Makes a method of passcodes. */
  async addTotp(name: string, more: object = {}, asked: Asked = {}): Promise<string> {
    const data = { method_name: name, issuer: 'gatehouse', ...more }
    const { method_id } = await this.data(
      this.secrets.post('identity/mfa/method/totp', data, asked),
    )
    return method_id!
  }

  /** Asks logins for any of some methods: those of userpass, unless others are named. */
  async enforce(
    name: string,
    methods: readonly string[],
    targets: object = { auth_method_types: ['userpass'] },
    asked: Asked = {},
  ): Promise<void> {
    const data = { mfa_method_ids: [...methods], ...targets }
    await this.data(this.secrets.post(`identity/mfa/login-enforcement/${name}`, data, asked))
  }

  login(name: string, { data, ...asked }: Asked = {}): Promise<Got> {
    const path = `auth/userpass/login/${name}`
    return this.secrets.post(path, { password: PASSWORD, ...data }, { token: '', ...asked })
  }

  /** The id of a login that waits. */
  async begin(name: string, asked: Asked = {}): Promise<string> {
    const { body } = await this.login(name, asked)
    return body.auth.mfa_requirement.mfa_request_id
  }

  validate(id: string, payload: Asked['data'], asked: Asked = {}): Promise<Got> {
    const data = { mfa_request_id: id, mfa_payload: payload! }
    return this.secrets.post('sys/mfa/validate', data as never, { token: '', ...asked })
  }

  /** The entity of somebody; a login makes it. */
  async entityOf(name: string, asked: Asked = {}): Promise<string> {
    await this.login(name, asked)
    const alias_mount_accessor = await this.accessorOf('userpass', asked)
    const found = { alias_name: name, alias_mount_accessor }
    const { id } = await this.data(this.secrets.post('identity/lookup/entity', found, asked))
    return id!
  }

  /** Gives somebody a phone with a secret. */
  async phoneOf(name: string, method_id: string, asked: Asked = {}): Promise<Phone> {
    const entity_id = await this.entityOf(name, asked)
    const path = 'identity/mfa/method/totp/admin-generate'
    const { url } = await this.data(this.secrets.post(path, { method_id, entity_id }, asked))
    return new Phone(url!)
  }

  get now(): number {
    return this.clock.wall()
  }
}

/** Opens secrets with userpass and its user `ann`. */
export async function openWorld(
  t: Test,
  options: SecretsOptions = {},
  clock = new FakeClock(),
): Promise<MfaWorld> {
  const secrets = await openSecrets(t, { clock, ...options })
  const world = new MfaWorld(secrets, clock)
  await secrets.mount('userpass', 'userpass/', { kind: 'auth' })
  await world.addUser('ann')
  return world
}
