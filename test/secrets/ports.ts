/**
 * What tests hand to the system engine in place of a server.
 */

import { generateKeyPairSync, type KeyObject, privateDecrypt, sign } from 'node:crypto'
import { conditionCompiler } from '../../src/agent/secrets-conditions.ts'
import { programCompiler } from '../../src/agent/secrets-programs.ts'
import { begun } from '../../src/base/begun.ts'
import { systemClock } from '../../src/base/clock.ts'
import { drawNamed } from '../../src/base/draw-key.ts'
import { runCiphers } from '../../src/base/io/cipher-run.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { NOBODYS_HASH } from '../../src/base/password-hash.ts'
import { targetGuard } from '../../src/checks/guard.ts'
import { Denials } from '../../src/secrets/denials.ts'
import type { RuntimePort, ServerShown, SystemPorts } from '../../src/secrets/engine/sys/ports.ts'
import { lockoutFrom } from '../../src/secrets/lockout/lockout.ts'

/** One server that leads, of a cluster that could have more. */
export const testServer: ServerShown = {
  nodeId: '0d6a1c5e-0000-4000-8000-000000000001',
  name: 'one',
  apiAddress: 'http://127.0.0.1:8200',
  clusterAddress: '127.0.0.1:8300',
  isSelf: true,
  isLeader: true,
  isVoter: true,
  isHealthy: true,
  stableSinceMs: 1_700_000_000_000,
  lastContactMs: 0,
  term: 1,
  lastIndex: 7,
}

/** A process that has nothing to tell; its log's level can be changed. */
export function testRuntime(more: Partial<RuntimePort> = {}): RuntimePort {
  let level: ReturnType<RuntimePort['log']['level']> = 'info'
  return {
    log: {
      follow({ take, json }) {
        take(json ? '{"@message":"hello"}\n' : '[INFO]  hello\n')
        return () => {}
      },
      level: () => level,
      setLevel: next => {
        level = next ?? 'info'
      },
    },
    metrics: new Metrics(systemClock),
    naming: () => ({
      ...{ prefix: 'vault', hostName: undefined },
      ...{ prefixFilter: [], filterDefault: true },
    }),
    prometheusRetentionMs: () => 60_000,
    profiler: { isRunning: false, profile: async () => Buffer.from('profile') },
    host: async () => ({ cpu: [], cpu_times: [], disk: [], host: {}, memory: { total: 1 } }),
    inFlight: () => [],
    settings: () => ({ storage: { type: 'memory' } }),
    reload: async () => [],
    auditDevices: () => [{ name: 'file', type: 'file', options: {} }],
    ...more,
  }
}

async function* oneArchive(): AsyncGenerator<Buffer, void, undefined> {
  yield Buffer.from('an archive')
}

/** A server that is initialised and open, unless a test says otherwise. */
export const testPorts = (more: Partial<SystemPorts> = {}): SystemPorts => ({
  server: {
    isInitialized: () => true,
    isSealed: () => false,
    clusterName: () => 'test',
    clusterId: () => '5a8b1f4e-0000-4000-8000-000000000000',
    nowMs: () => 1_700_000_000_000,
    apiAddress: () => 'http://127.0.0.1:8200',
  },
  cluster: {
    servers: () => [testServer],
    isShared: () => true,
    failureTolerance: () => 0,
    stepDown: async () => true,
    archive: async () => begun(oneArchive()),
  },
  runtime: testRuntime(),
  seal: NO_SEAL,
  denials: new Denials(),
  conditions: conditionCompiler,
  programs: programCompiler,
  sealAccess: { isRekeyOpen: false, isRootTokenOpen: false },
  logins: { lockout: lockoutFrom({}), passwords: new CountingHasher() },
  arithmetic: atOnce,
  acme: testAcme(),
  factors: { duo: nobody, okta: nobody, pingid: nobody },
  ...more,
})

/** Services of second factors that nobody can reach. */
const nobody = async () => ({ passed: false, reason: 'not reachable' }) as const

/** Arithmetic without threads: nothing of a test's is left to be closed. */
const atOnce: SystemPorts['arithmetic'] = {
  async generateKey(kind) {
    if (kind.type === 'rsa') return drawnRsa(kind.bits)
    if (kind.type === 'ec') return generateKeyPairSync('ec', { namedCurve: kind.curve }).privateKey
    return drawNamed(kind.type === 'named' ? kind.name : kind.type)
  },
  sign: async ({ hash, data, ...how }) => sign(hash, data, how),
  decrypt: async ({ data, ...how }) => privateDecrypt(how, data),
  ciphers: async run => runCiphers(run),
}

/** RSA keys take long to draw: a test's process has few of each size, in turn. */
const drawn = new Map<number, KeyObject[]>()
function drawnRsa(bits: number): KeyObject {
  const FEW = 3
  const known = drawn.get(bits) ?? []
  drawn.set(bits, known)
  const key =
    known.length < FEW
      ? generateKeyPairSync('rsa', { modulusLength: bits }).privateKey
      : known.shift()!
  known.push(key)
  return key
}

/** ACME that may look for challenges on this machine, where names are found as a test says. */
export const testAcme = (more: Partial<SystemPorts['acme']> = {}): SystemPorts['acme'] => ({
  arithmetic: atOnce,
  needsExternalAccount: false,
  baseUrl: () => 'http://127.0.0.1:8200',
  mayReachItself: true,
  resolver: {
    addressesOf: async () => ['127.0.0.1'],
    textsOf: async () => [],
  },
  guard: targetGuard,
  httpPort: 80,
  tlsPort: 443,
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
