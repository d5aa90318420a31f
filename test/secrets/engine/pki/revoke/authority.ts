/**
 * An authority that gives and takes back, and what OpenSSL says of its certificates by then.
 */
import type { Test } from 'tap'
import { systemRandom } from '../../../../../src/base/clock.ts'
import { silentLog } from '../../../../../src/base/log.ts'
import { endsOf, sealedRowDeadline } from '../../../../../src/secrets/deadline.ts'
import { enginesOn } from '../../../../../src/secrets/engine/mod.ts'
import { leaseEnd, tokenEnd } from '../../../../../src/secrets/lease/ends.ts'
import { revocationDuty } from '../../../../../src/secrets/lease/revoke.run.ts'
import { Timekeeper } from '../../../../../src/store/timekeeper.ts'
import { readCrl } from '../../../../../src/x509/crl.ts'
import type { FakeClock } from '../../../../fake/clock.ts'
import { verdict } from '../../../../x509/openssl.ts'
import type { SecretsOptions, TestSecrets } from '../../../harness.ts'
import { testPorts } from '../../../ports.ts'
import { Files, openAuthority } from '../authority.ts'

export interface Leaf {
  readonly certificate: string
  readonly private_key: string
  readonly serial_number: string
}

/** Secrets with a root at `pki/` and a role `any`. */
export class Revoking {
  readonly secrets: TestSecrets
  readonly files: Files
  readonly root: string

  private constructor(secrets: TestSecrets, files: Files, root: string) {
    this.secrets = secrets
    this.files = files
    this.root = root
  }

  static async open(t: Test, options: SecretsOptions = {}, keyType = 'ec'): Promise<Revoking> {
    return Revoking.on(t, await openAuthority(t, options), keyType)
  }

  /** On a mount that is there already. */
  static async on(t: Test, secrets: TestSecrets, keyType: string): Promise<Revoking> {
    const made = await secrets.post('pki/root/generate/internal', {
      ...{ common_name: 'Root', ttl: '87600h', key_type: keyType },
    })
    await secrets.post('pki/roles/any', {
      ...{ allow_any_name: true, enforce_hostnames: false, key_type: 'ec', max_ttl: '8760h' },
    })
    return new Revoking(secrets, new Files(t), made.body.data.certificate)
  }

  async issue(name: string, data: { [key: string]: string } = {}, role = 'any'): Promise<Leaf> {
    const { status, body } = await this.secrets.post(`pki/issue/${role}`, {
      ...{ common_name: name, ttl: '24h' },
      ...data,
    })
    if (status !== 200) throw new Error(JSON.stringify(body))
    return body.data
  }

  revoke(serial: string) {
    return this.secrets.post('pki/revoke', { serial_number: serial })
  }

  /** The newest list, read. */
  async list(form = 'crl') {
    const { bytes } = await this.secrets.read(`pki/${form}`, { token: '' })
    return readCrl(bytes)
  }

  /** Whether OpenSSL takes a certificate, by the lists of these paths. */
  async judged(certificate: string, forms = ['crl/pem']): Promise<string> {
    const lists: string[] = []
    for (const form of forms) {
      lists.push((await this.secrets.read(`pki/${form}`, { token: '' })).text)
    }
    const said = verdict(
      ...['-x509_strict', '-crl_check', '-extended_crl', '-use_deltas'],
      ...['-CAfile', this.files.file(this.root), '-CRLfile', this.files.file(lists.join('\n'))],
      this.files.file(certificate),
    )
    return / OK$/m.test(said) ? 'OK' : said
  }
}

/**
 * The same by a clock of the test's, whose time is kept: what is due happens as the clock moves.
 */
export async function openKept(t: Test, clock: FakeClock): Promise<Revoking> {
  const engines = enginesOn(testPorts())
  const mount = await Revoking.open(t, { clock, engines })
  const { store } = mount.secrets
  const barrier = () => mount.secrets.barrier
  const ports = { store, clock, random: systemRandom, log: silentLog }
  const keeper = new Timekeeper(ports, {
    ...{ role: 'secrets', holder: 'one' },
    kinds: [sealedRowDeadline([tokenEnd, leaseEnd, ...endsOf(engines)], barrier)],
    duties: [revocationDuty({ ...ports, barrier, engines })],
  })
  keeper.start()
  await clock.advance(1)
  t.teardown(() => keeper.stop())
  return mount
}
