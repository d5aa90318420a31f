/** What operators ask of the seal: rekey, generate-root, and shares encrypted to OpenPGP keys. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { systemRandom } from '../../../src/base/clock.ts'
import { Refusal } from '../../../src/base/errors.ts'
import { limits } from '../../../src/base/limits.ts'
import { openStaticSeal } from '../../../src/secrets/barrier/kind/static.run.ts'
import { decodeToken, encodeToken } from '../../../src/secrets/barrier/root-token.ts'
import { Draft } from '../../../src/secrets/storage.ts'
import { hashIn, tokenRows } from '../../../src/secrets/token/token.ts'
import type { Store } from '../../../src/store/store.ts'
import { sealAttempts } from '../../../src/store/tables/seal.ts'
import { FakeClock } from '../../fake/clock.ts'
import { propertyRuns } from '../../run/budget.ts'
import { absent } from '../../run/clients.ts'
import {
  founded,
  got,
  openStore,
  Peers,
  read,
  recovery,
  refused,
  type Server,
  shamir,
  startServer,
  unseal,
  until,
  write,
  wrongShare,
} from './world.ts'

const rekey = (shares: number, threshold: number, more: object = {}) => ({
  ...{ shares, threshold, pgpKeys: [], backup: false, requireVerification: false },
  ...more,
})

const staticSeal = (current = systemRandom.bytes(32).toString('hex')) =>
  openStaticSeal(
    { current: { id: 'one', key: current }, previous: undefined },
    { random: systemRandom, environment: {} },
  )

t.test('new shares open, old ones do not any more', async t => {
  const store = openStore()
  const { operator, keys, room } = await founded(t, store)
  await write(store, room.barrier()!, 'a', 1)
  t.strictSame(await operator.rekeyStatus('root'), {
    ...{ nonce: '', started: false, t: 0, n: 0, progress: 0, required: 3 },
    ...{ pgp_fingerprints: null, backup: false, verification_required: false },
  })
  const begun = got(await operator.rekeyStart('root', rekey(4, 2)))
  t.match(begun, { started: true, t: 2, n: 4, progress: 0, required: 3 })
  t.equal(refused(await operator.rekeyStart('root', rekey(1, 1))), '400 rekey already in progress')
  const { nonce } = begun
  const update = (key: string, by = nonce) => operator.rekeyUpdate('root', key, by)
  t.match(
    refused(await update(keys.keys[0], 'other')),
    /^400 incorrect nonce supplied; nonce for this rekey operation is "/,
  )
  t.match(await update(keys.keys[0]), { progress: 1, nonce })
  t.match(refused(await update(keys.keys[0])), /^400 given key has already been provided/)
  t.match(await update(keys.keys[1]), { progress: 2 })
  const done = got(await update(keys.keys[2]))
  t.match(done, {
    complete: true,
    nonce,
    verification_required: false,
    backup: false,
    pgp_fingerprints: null,
  })
  t.equal(done.keys.length, 4)
  t.match(await operator.rekeyStatus('root'), { started: false, required: 2 })
  t.equal(refused(await update(keys.keys[0])), '400 no barrier rekey in progress')
  const restarted = await startServer(t, store)
  for (const key of keys.keys.slice(0, 1))
    await restarted.operator.unseal({ key, reset: false, migrate: false })
  t.equal(
    refused(await restarted.operator.unseal({ key: keys.keys[1], reset: false, migrate: false })),
    '400 unseal failed, invalid key',
  )
  await unseal(restarted, done.keys.slice(2))
  t.equal(read(store, restarted.room.barrier(), 'a'), 1)
})

t.test('wrong shares authorise nothing, and the attempt goes on', async t => {
  const { operator, keys } = await founded(t, openStore(), {}, shamir(3, 2))
  const { nonce } = got(await operator.rekeyStart('root', rekey(3, 2)))
  const update = (key: string) => operator.rekeyUpdate('root', key, nonce)
  got(await update(keys.keys[0]))
  t.equal(
    refused(await update(wrongShare(keys.keys[1]))),
    '400 root key verification failed: unseal failed, invalid key',
  )
  t.match(await operator.rekeyStatus('root'), { started: true, progress: 0, nonce })
  t.match(refused(await update('zz')), /^400 'key' must be a valid hex or base64 string/)
  t.match(refused(await update('')), /^400 'key' must be specified in request body as JSON/)
  got(await update(keys.keys[1]))
  t.match(await update(keys.keys[2]), { complete: true })
})

t.test('new shares are shown before the old ones end, where that is wanted', async t => {
  const store = openStore()
  const { operator, keys } = await founded(t, store, {}, shamir(3, 2))
  const { nonce } = got(
    await operator.rekeyStart('root', rekey(3, 2, { requireVerification: true })),
  )
  t.equal(
    refused(await operator.verifyUpdate('root', keys.keys[0], '')),
    '400 no rekey verification in progress',
  )
  got(await operator.rekeyUpdate('root', keys.keys[0], nonce))
  const made = got(await operator.rekeyUpdate('root', keys.keys[1], nonce))
  t.match(made, { complete: true, verification_required: true })
  const opens = async (shares: string[]): Promise<boolean> => {
    const server = await startServer(t, store)
    for (const key of shares) await server.operator.unseal({ key, reset: false, migrate: false })
    return server.room.barrier() !== undefined
  }
  t.ok(await opens(keys.keys.slice(0, 2)), 'nothing has changed yet')
  t.match(
    refused(await operator.rekeyUpdate('root', keys.keys[2], nonce)),
    /verification must be performed/,
  )
  const first = made.verification_nonce
  t.match(await operator.verifyStatus('root'), {
    nonce: first,
    started: true,
    t: 2,
    n: 3,
    progress: 0,
  })
  const verify = (key: string, by: string) => operator.verifyUpdate('root', key, by)
  t.match(
    refused(await verify(made.keys[0], nonce)),
    /^400 incorrect nonce supplied; nonce for this verify/,
  )
  t.match(await verify(made.keys[0], first), { progress: 1 })
  t.match(refused(await verify(made.keys[0], first)), /already been provided/)
  const restarted = got(await operator.verifyRestart('root'))
  t.match(restarted, { progress: 0 })
  t.not(restarted.nonce, first)
  t.match(await verify(made.keys[0], restarted.nonce), { progress: 1 })
  t.equal(
    refused(await verify(keys.keys[0], restarted.nonce)),
    '400 rekey verification failed; incorrect key shares supplied',
  )
  const { nonce: last } = got(await operator.verifyStatus('root'))
  got(await verify(made.keys[1], last))
  t.match(await verify(made.keys[2], last), { complete: true, nonce: last })
  t.notOk(await opens(keys.keys.slice(0, 2)))
  t.ok(await opens(made.keys.slice(0, 2)))
})

t.test('what a rekey cannot be', async t => {
  const { operator } = await founded(t, openStore())
  const start = async (request: ReturnType<typeof rekey>): Promise<string> =>
    refused(await operator.rekeyStart('root', request))
  t.equal(
    await start(rekey(0, 0)),
    '400 invalid rekey seal configuration: shares must be at least one',
  )
  t.match(await start(rekey(3, 1)), /threshold must be greater than one for multiple shares/)
  t.match(
    await start(rekey(3, 2, { backup: true })),
    /^400 cannot request a backup of the new keys/,
  )
  t.equal(
    await start(rekey(3, 2, { pgpKeys: ['AAAA'] })),
    '400 incorrect number of PGP keys for rekey',
  )
  t.match(await start(rekey(1, 1, { pgpKeys: ['AAAA'] })), /^400 error parsing given PGP key/)
  t.equal(
    refused(await operator.rekeyStart('recovery', rekey(3, 2))),
    '400 recovery rekeying not supported',
  )
  t.match(await operator.rekeyStatus('root'), { started: false })
  const empty = await startServer(t, openStore())
  t.equal(refused(await empty.operator.rekeyStatus('root')), '400 server is not yet initialized')
})

t.test('nobody ends an attempt whose nonce he does not know, unless he shows a right', async t => {
  const clock = new FakeClock()
  const { operator } = await founded(t, openStore(clock), { clock })
  const guarded: readonly [
    string,
    () => Promise<string>,
    (nonce: string, may: boolean) => unknown,
  ][] = [
    [
      'rekey',
      async () => got(await operator.rekeyStart('root', rekey(3, 2))).nonce,
      (nonce, may) => operator.rekeyCancel('root', nonce, may),
    ],
    [
      'generate-root',
      async () => got(await operator.rootTokenStart({ otp: '', pgpKey: '' })).nonce,
      (nonce, may) => operator.rootTokenCancel(nonce, may),
    ],
  ]
  for (const [what, begin, cancel] of guarded) {
    const nonce = await begin()
    const status = () =>
      what === 'rekey' ? operator.rekeyStatus('root') : operator.rootTokenStatus()
    for (const guess of ['', 'x', `${nonce}x`]) {
      t.match(
        refused(await cancel(guess, false)),
        /^400 the nonce of the operation is required/,
        `${what} ${guess}`,
      )
    }
    t.match(refused(await cancel('x', true)), /^400/, 'a wrong nonce is a mistake')
    t.match(await status(), { started: true, nonce })
    t.equal(await cancel(nonce, false), true)
    t.match(await status(), { started: false })
    t.equal(await cancel('', false), true, 'there is nothing to end')
    await begin()
    t.equal(await cancel('', true), true)
    await begin()
    await clock.advance(limits.sealAttemptGuardMs)
    t.equal(await cancel('', false), true, 'nobody is there any more')
    await begin()
    await clock.advance(limits.sealAttemptMs)
    t.match(await status(), { started: false }, 'it is forgotten')
    await begin()
  }
  await operator.seal()
})

t.test('attempts do not outlive the keys that they are about', async t => {
  const { operator, keys, ...server } = await founded(t, openStore())
  got(await operator.rekeyStart('root', rekey(3, 2)))
  got(await operator.rootTokenStart({ otp: '', pgpKey: '' }))
  await operator.seal()
  await unseal({ operator, ...server }, keys.keys)
  t.match(await operator.rekeyStatus('root'), { started: false })
  t.match(await operator.rootTokenStatus(), { started: false })
})

/** Two unsealed servers of one store. */
async function twoServers(t: Test, store: Store, clock?: FakeClock) {
  const peers = new Peers()
  const options = { peers, ...(clock && { clock }) }
  const first = await founded(t, store, options, shamir(3, 2))
  peers.rooms.push(first.room)
  const second = await startServer(t, store, options)
  t.ok(second.room.barrier())
  return { first, second, keys: first.keys.keys as string[] }
}

t.test('any server goes on with what another one began', async t => {
  const store = openStore()
  const { first, second, keys } = await twoServers(t, store)
  const { nonce } = got(await first.operator.rekeyStart('root', rekey(3, 2)))
  t.match(await second.operator.rekeyStatus('root'), { nonce, started: true, n: 3, t: 2 })
  t.equal(
    refused(await second.operator.rekeyStart('root', rekey(1, 1))),
    '400 rekey already in progress',
  )
  t.match(await second.operator.rekeyUpdate('root', keys[0]!, nonce), { progress: 1 })
  t.match(await first.operator.rekeyStatus('root'), { progress: 1 })
  const done = got(await first.operator.rekeyUpdate('root', keys[1]!, nonce))
  t.match(done, { complete: true })
  // The second has not followed the change of the keys yet.
  const token = got(await second.operator.rootTokenStart({ otp: '', pgpKey: '' }))
  t.match(await second.operator.rootTokenUpdate(done.keys[0], token.nonce), { progress: 1 })
  const made = got(await first.operator.rootTokenUpdate(done.keys[1], token.nonce))
  t.match(decodeToken(made.encoded_token, token.otp), /^hvs\./)
  t.match(await second.operator.rootTokenStatus(), { started: false })
})

t.test('shares that come at once on two servers all count, and the last one once', async t => {
  const { first, second, keys } = await twoServers(t, openStore())
  const { nonce } = got(await first.operator.rekeyStart('root', rekey(3, 2)))
  const came = await Promise.all([
    first.operator.rekeyUpdate('root', keys[0]!, nonce),
    second.operator.rekeyUpdate('root', keys[1]!, nonce),
    first.operator.rekeyUpdate('root', keys[2]!, nonce),
  ])
  const done = came.flatMap(one => (one instanceof Refusal || one.complete !== true ? [] : [one]))
  t.equal(done.length, 1)
  t.match(came.filter(one => one instanceof Refusal).map(refused), [/no barrier rekey in progress/])
  t.match(await second.operator.rekeyStatus('root'), { started: false })
})

t.test('no share that was given lies in the store in clear, and what is over is gone', async t => {
  const clock = new FakeClock()
  const store = openStore(clock)
  const { first, keys } = await twoServers(t, store, clock)
  const { nonce } = got(await first.operator.rekeyStart('root', rekey(3, 2)))
  const { otp } = got(await first.operator.rootTokenStart({ otp: '', pgpKey: '' }))
  got(await first.operator.rekeyUpdate('root', keys[0]!, nonce))
  const rows = () => store.view().prefix(sealAttempts, '')
  t.equal(rows().length, 2)
  const share = Buffer.from(keys[0]!, 'hex')
  for (const { row } of rows()) {
    const bytes = Buffer.from(row.sealed, 'base64')
    for (const part of [share, Buffer.from(nonce), Buffer.from(otp)]) t.notOk(bytes.includes(part))
  }
  await clock.advance(limits.sealAttemptMs + limits.sealLookMs)
  await until(() => rows().length === 0)
})

t.test('what is changed between authorising and exchanging the shares counts', async t => {
  const { first, second, keys } = await twoServers(t, openStore())
  const { nonce } = got(await first.operator.rekeyStart('root', rekey(3, 2)))
  got(await first.operator.rekeyUpdate('root', keys[0]!, nonce))
  const last = first.operator.rekeyUpdate('root', keys[1]!, nonce)
  const ended = second.operator.rekeyCancel('root', nonce, true)
  const [done] = await Promise.all([last, ended])
  t.equal(refused(done), '400 no barrier rekey in progress')
  t.equal(first.room.state().counts.shares, 3)
})

t.test('shares make a root token, under a pad', async t => {
  const store = openStore()
  const { operator, keys, room } = await founded(t, store)
  const tokens = () => {
    const draft = new Draft(store.view(), room.barrier()!, Date.now() as never, systemRandom)
    return tokenRows(draft, 'root').keys('')
  }
  t.equal(tokens().length, 1)
  t.strictSame(await operator.rootTokenStatus(), {
    ...{ nonce: '', started: false, progress: 0, required: 3, complete: false },
    ...{ encoded_token: '', encoded_root_token: '', pgp_fingerprint: '', otp: '', otp_length: 28 },
  })
  t.equal(
    refused(await operator.rootTokenStart({ otp: 'short', pgpKey: '' })),
    '400 OTP string has incorrect length',
  )
  const { nonce, otp } = got(await operator.rootTokenStart({ otp: '', pgpKey: '' }))
  t.match(otp, /^[0-9A-Za-z]{28}$/)
  t.equal(got(await operator.rootTokenStatus()).otp, '', 'it is told once')
  t.match(refused(await operator.rootTokenStart({ otp: '', pgpKey: '' })), /already in progress/)
  const update = (key: string, by = nonce) => operator.rootTokenUpdate(key, by)
  t.match(refused(await update(keys.keys[0], '')), /^400 incorrect nonce supplied/)
  t.match(await update(keys.keys[0]), {
    progress: 1,
    required: 3,
    complete: false,
    encoded_token: '',
  })
  t.match(refused(await update(keys.keys[0])), /already been provided during this generation/)
  got(await update(keys.keys[1]))
  t.match(refused(await update('00'.repeat(33))), /^400 failed to compute root key/)
  for (const key of keys.keys.slice(0, 2)) got(await update(key))
  t.match(refused(await update(wrongShare(keys.keys[2]))), /^400 root generation aborted/)
  t.equal(tokens().length, 1)
  for (const key of keys.keys.slice(2, 4)) got(await update(key))
  const done = got(await update(keys.keys[4]))
  t.match(done, { complete: true, progress: 3, required: 3, nonce, started: true })
  t.equal(done.encoded_root_token, done.encoded_token)
  t.notMatch(done.encoded_token, /=/)
  const token = decodeToken(done.encoded_token, otp) as string
  t.match(token, /^hvs\.[0-9A-Za-z]{24}$/)
  t.ok(tokens().includes(hashIn(room.barrier()!, token)))
  t.equal(refused(await update(keys.keys[0])), '400 no root generation in progress')
})

t.test('a pad of its own length gives every token back', async t => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 60 }), token => {
      const otp = systemRandom.bytes(60).toString('base64').slice(0, token.length)
      return decodeToken(encodeToken(token, otp), otp) === token
    }),
    { numRuns: propertyRuns() },
  )
  t.match(refused(decodeToken('AAAA', 'ab')), /^400/)
  t.match(refused(decodeToken('', '')), /^400/)
})

t.test('recovery keys authorise an automatic seal, and are exchanged', async t => {
  const store = openStore()
  const { operator, keys } = await founded(t, store, { kind: await staticSeal() }, recovery(3, 2))
  const enter = (target: 'root' | 'recovery', nonce: string, shares: string[]): Promise<unknown> =>
    shares.reduce<Promise<unknown>>(
      (before, share) => before.then(() => operator.rekeyUpdate(target, share, nonce)),
      Promise.resolve(),
    )
  const root = got(await operator.rekeyStart('root', rekey(9, 9)))
  t.match(root, { required: 2, n: 1, t: 1 })
  t.match(await enter('root', root.nonce, keys.recovery_keys.slice(0, 2)), {
    complete: true,
    keys: [],
  })
  t.match(
    refused(await operator.rekeyStart('root', rekey(1, 1, { requireVerification: true }))),
    /requiring verification not supported when rekeying the barrier key with recovery keys/,
  )
  const begun = got(await operator.rekeyStart('recovery', rekey(2, 2)))
  const done = (await enter('recovery', begun.nonce, keys.recovery_keys.slice(1))) as {
    keys: string[]
  }
  t.equal(done.keys.length, 2)
  const { nonce, otp } = got(await operator.rootTokenStart({ otp: '', pgpKey: '' }))
  await operator.rootTokenUpdate(keys.recovery_keys[0], nonce)
  t.match(
    refused(await operator.rootTokenUpdate(keys.recovery_keys[1], nonce)),
    /root generation aborted/,
  )
  await operator.rootTokenUpdate(done.keys[0]!, nonce)
  const made = got(await operator.rootTokenUpdate(done.keys[1]!, nonce))
  t.match(decodeToken(made.encoded_token, otp), /^hvs\./)
  t.match(operator.sealStatus(), { n: 2, t: 2, recovery_seal: true })
})

t.test('an automatic seal without recovery keys is given some by whoever may ask', async t => {
  const { operator, keys } = await founded(
    t,
    openStore(),
    { kind: await staticSeal() },
    recovery(0, 0),
  )
  t.notOk('recovery_keys' in keys)
  const made = got(await operator.rekeyStart('recovery', rekey(3, 2)))
  t.match(made, { complete: true })
  t.equal(made.keys.length, 3)
  t.match(operator.sealStatus(), { n: 3, t: 2 })
})

t.test('shares and tokens for OpenPGP keys', { skip: absent('gpg') }, async t => {
  const { decrypt, make } = gpg(t)
  const holders = ['one', 'two', 'three'].map(make)
  const pgpKeys = holders.map(({ key }) => key)
  const store = openStore()
  const server: Server = await startServer(t, store)
  const { operator, room } = server
  const asked = { ...shamir(3, 2), pgpKeys, rootTokenPgpKey: pgpKeys[0]! }
  const keys = got(await operator.init(asked))
  t.match(decrypt(Buffer.from(keys.root_token, 'base64')), /^hvs\./)
  const plain = keys.keys.map((one: string) => decrypt(Buffer.from(one, 'hex')))
  t.match(plain[0], /^[0-9a-f]{66}$/)
  await unseal(server, plain.slice(1))
  t.ok(room.barrier())
  const begun = got(await operator.rekeyStart('root', rekey(3, 2, { pgpKeys, backup: true })))
  const fingerprints = holders.map(({ fingerprint }) => fingerprint)
  t.strictSame(begun.pgp_fingerprints, fingerprints)
  got(await operator.rekeyUpdate('root', plain[0], begun.nonce))
  const done = got(await operator.rekeyUpdate('root', plain[1], begun.nonce))
  t.strictSame(done.pgp_fingerprints, fingerprints)
  const backup = got(operator.backup('root'))
  t.equal(backup.nonce, begun.nonce)
  t.strictSame(
    fingerprints.map(one => backup.keys[one][0]),
    done.keys,
  )
  t.strictSame(
    fingerprints.map(one => backup.keys_base64[one][0]),
    done.keys_base64,
  )
  const token = got(await operator.rootTokenStart({ otp: '', pgpKey: pgpKeys[2]! }))
  t.match(token, { pgp_fingerprint: fingerprints[2], otp: '' })
  const [a, b] = done.keys.map((one: string) => decrypt(Buffer.from(one, 'hex')))
  got(await operator.rootTokenUpdate(a, token.nonce))
  const made = got(await operator.rootTokenUpdate(b, token.nonce))
  t.match(decrypt(Buffer.from(made.encoded_token, 'base64')), /^hvs\./)
  t.equal(await operator.dropBackup('root'), true)
  t.equal(refused(operator.backup('root')), '400 no backed-up keys found')
})

/** Keys in a home of their own. */
function gpg(t: Test) {
  const home = mkdtempSync(join(tmpdir(), 'gh-gpg-'))
  t.teardown(() => {
    execFileSync('gpgconf', ['--homedir', home, '--kill', 'all'])
    rmSync(home, { recursive: true, force: true })
  })
  const run = (args: string[], input: Buffer = Buffer.alloc(0)): Buffer =>
    execFileSync('gpg', ['--homedir', home, '--batch', '--quiet', '--no-tty', ...args], {
      input,
      stdio: ['pipe', 'pipe', 'ignore'],
    })
  return {
    decrypt: (message: Buffer): string => run(['--decrypt'], message).toString(),
    make(name: string): { key: string; fingerprint: string } {
      const lines = 'Key-Type: EDDSA\nKey-Curve: ed25519\nSubkey-Type: ECDH\nSubkey-Curve: cv25519'
      run(
        ['--gen-key'],
        Buffer.from(`${lines}\nName-Real: ${name} holder\n%no-protection\n%commit\n`),
      )
      const listed = run(['--with-colons', '--list-keys', name]).toString()
      return {
        key: run(['--export', name]).toString('base64'),
        fingerprint: (/^fpr:+([0-9A-F]+):/m.exec(listed)?.[1] ?? '').toLowerCase(),
      }
    },
  }
}
