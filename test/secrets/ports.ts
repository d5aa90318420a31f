/**
 * What tests hand to the system engine in place of a server.
 */
import { NOBODYS_HASH } from '../../src/base/password-hash.ts'
import { Denials } from '../../src/secrets/denials.ts'
import type { SystemPorts } from '../../src/secrets/engine/sys/ports.ts'
import { lockoutFrom } from '../../src/secrets/lockout/lockout.ts'

/** A server that is initialised and open, unless a test says otherwise. */
export const testPorts = (more: Partial<SystemPorts> = {}): SystemPorts => ({
  server: {
    isInitialized: () => true,
    isSealed: () => false,
    clusterName: () => 'test',
    clusterId: () => '5a8b1f4e-0000-4000-8000-000000000000',
    nowMs: () => 1_700_000_000_000,
  },
  seal: NO_SEAL,
  denials: new Denials(),
  sealAccess: { isRekeyOpen: false, isRootTokenOpen: false },
  logins: { lockout: lockoutFrom({}), passwords: new CountingHasher() },
  ...more,
})

/** Most tests have an open keyring and no seal: who asks for one forgot to hand it in. */
const NO_SEAL = new Proxy({} as SystemPorts['seal'], {
  get(_target, name) {
    throw new Error(`this test has no seal (${String(name)})`)
  },
})

/** A hash that costs nothing, and counts how often it is asked for: no test waits for argon2. */
export class CountingHasher {
  readonly asked: string[] = []

  async hash(password: string): Promise<string> {
    this.asked.push('hash')
    return `hash of ${password}`
  }

  async verify(password: string, hash: string): Promise<boolean> {
    this.asked.push(hash === NOBODYS_HASH ? "verify nobody's" : 'verify')
    return hash === `hash of ${password}`
  }
}
