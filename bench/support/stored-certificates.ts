/**
 * A great many stored certificates, in the store of a server that is stopped.
 *
 * Owns the way past HTTP: each is decided, signed and kept by the engine's own functions, so that
 * its rows are the very ones that a server writes, but hundreds share a transaction and all have
 * one key, since drawing keys is measured elsewhere. Those that are to be revoked are, in the same
 * way.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import { KeyThreads } from '../../src/base/io/arithmetic.ts'
import { silentLog } from '../../src/base/log.ts'
import type { Barrier } from '../../src/secrets/barrier/keyring.ts'
import { SealRoom } from '../../src/secrets/barrier/seal.run.ts'
import { decide, keep, signed } from '../../src/secrets/engine/pki/issue/give.ts'
import { drawKey } from '../../src/secrets/engine/pki/issue/key.ts'
import { revokeOnce } from '../../src/secrets/engine/pki/revoke/revoke.ts'
import { roleAt } from '../../src/secrets/engine/pki/role/row.ts'
import { coldOf, mountAt, storageOf } from '../../src/secrets/mount/mount.ts'
import { ROOT } from '../../src/secrets/namespace/namespace.ts'
import { Draft } from '../../src/secrets/storage.ts'
import { openLevelStore } from '../../src/store/level/engine.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { isRefusal, type Store } from '../../src/store/store.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { readCertificate } from '../../src/x509/certificate.ts'

/** What is wanted of a mount, whose role `stored` gives any name. */
export interface Many {
  /** The data folder of the server. */
  readonly folder: string
  /** A share that unseals it. */
  readonly unsealKey: string
  readonly mount: string
  readonly certificates: number
  /** How many of them are revoked: the first ones. */
  readonly revoked: number
}

const TOGETHER = 256
/** Transactions that are decided before the first is waited for. */
const UNDER_WAY = 4

/** Stores so many certificates; gives the serial number of the first one, in hex. */
export async function storeCertificates(many: Many): Promise<string> {
  const tables = withSystemTables(registryTables)
  const common = { tables, clock: systemClock, random: systemRandom }
  const store = await openLevelStore({ ...common, folder: join(many.folder, 'store') })
  const seal = new SealRoom({
    ...{ store, clock: systemClock, random: systemRandom, log: silentLog, serverId: 'bench' },
    ...{ kind: undefined, peers: undefined },
  })
  await seal.start()
  assert.equal(await seal.unseal(Buffer.from(many.unsealKey, 'hex')), true)
  const arithmetic = new KeyThreads()
  try {
    return await fill(store, seal, arithmetic, many)
  } finally {
    await arithmetic.close()
    await seal.stop()
    await store.close()
  }
}

async function fill(
  store: Store,
  seal: SealRoom,
  arithmetic: KeyThreads,
  { mount, certificates, revoked }: Many,
): Promise<string> {
  const { spki } = await drawKey(arithmetic, { type: 'ec', bits: 256 })
  const first: string[] = []
  for (let done = 0; done < certificates; ) {
    const written: Promise<readonly string[]>[] = []
    for (let at = 0; at < UNDER_WAY && done < certificates; at++) {
      const portion = {
        from: done,
        to: Math.min(certificates, done + TOGETHER),
        ...{ mount, revoked, spki, arithmetic },
      }
      written.push(writePortion(store, seal.barrier()!, portion))
      done = portion.to
    }
    const [serials = []] = await Promise.all(written)
    if (first.length === 0) first.push(...serials)
  }
  return first[0] ?? assert.fail('nothing was stored')
}

interface Portion {
  readonly from: number
  readonly to: number
  readonly mount: string
  readonly revoked: number
  readonly spki: Buffer
  readonly arithmetic: KeyThreads
}

/** Gives the serial numbers of what one transaction stores. */
async function writePortion(
  store: Store,
  barrier: Barrier,
  portion: Portion,
): Promise<readonly string[]> {
  const written = await store.write<readonly string[]>((view, now, random) => {
    const draft = new Draft(view, barrier, now, random)
    const serials: string[] = []
    for (let at = portion.from; at < portion.to; at++) serials.push(giveOne(draft, at, portion))
    return { txn: draft.ops(), answer: serials }
  })
  assert.ok(!isRefusal(written))
  return written.answer
}

const NOBODY = { dnsNames: [], emails: [], addresses: [], uris: [], others: [], userIds: [] }
const USUAL = { ttlMs: 0, notBefore: '', notAfter: '' }

function giveOne(draft: Draft, at: number, { mount: path, revoked, spki, arithmetic }: Portion) {
  const mount = mountAt(draft, ROOT, 'secret', path)
  assert.ok(mount !== undefined)
  const { now, random } = draft
  const storage = storageOf(draft, mount)
  const call = {
    ...{ draft, mount, storage, now, random, namespace: ROOT, who: undefined },
    ...{ cold: coldOf(draft, mount), path: 'issue/stored' },
  }
  const role = roleAt(storage, 'stored')
  assert.ok(role !== undefined)
  const commonName = `host-${at}.example.com`
  const wanted = { ...NOBODY, commonName, excludesCommonName: false, serialNumber: '' }
  const decided = decide(call, { role, issuerRef: role.issuer_ref, wanted, times: USUAL })
  assert.ok(!(decided instanceof Refusal))
  const one = signed(arithmetic, decided, spki)
  assert.ok(!(one instanceof Refusal) && !(one instanceof Promise))
  keep(call, one, 'stored')
  if (at < revoked) assert.ok(!(revokeOnce(call, readCertificate(one.der)) instanceof Refusal))
  return one.serial
}
