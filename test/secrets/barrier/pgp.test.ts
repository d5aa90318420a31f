/** Messages to OpenPGP keys, read again by GnuPG. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { wallMs } from '../../../src/base/brand.ts'
import { systemRandom } from '../../../src/base/clock.ts'
import { encryptTo, readPgpKey } from '../../../src/secrets/barrier/pgp.ts'
import { untilBudget } from '../../run/budget.ts'
import { absent } from '../../run/clients.ts'

const now = wallMs(Date.UTC(2026, 10, 26))

t.test('what is encrypted, the holder of the key reads', { skip: absent('gpg') }, async t => {
  const home = mkdtempSync(join(tmpdir(), 'gh-gpg-'))
  t.teardown(() => rmSync(home, { recursive: true, force: true }))
  const gpg = (args: string[], input?: Buffer): Buffer =>
    execFileSync('gpg', ['--homedir', home, '--batch', '--quiet', '--no-tty', ...args], {
      input: input ?? Buffer.alloc(0),
      stdio: ['pipe', 'pipe', 'ignore'],
    })
  const make = (name: string, lines: string): { key: string; fingerprint: string } => {
    gpg(['--gen-key'], Buffer.from(`${lines}\nName-Real: ${name}\n%no-protection\n%commit\n`))
    const list = gpg(['--with-colons', '--list-keys', name]).toString()
    return {
      key: gpg(['--export', name]).toString('base64'),
      fingerprint: (/^fpr:+([0-9A-F]+):/m.exec(list)?.[1] ?? '').toLowerCase(),
    }
  }
  t.teardown(() => execFileSync('gpgconf', ['--homedir', home, '--kill', 'all']))
  const ecdh = (curve: string): string => `Subkey-Type: ECDH\nSubkey-Curve: ${curve}`
  const kinds = {
    rsa: 'Key-Type: RSA\nKey-Length: 2048\nSubkey-Type: RSA\nSubkey-Length: 2048',
    rsaalone: 'Key-Type: RSA\nKey-Length: 2048',
    ed: `Key-Type: EDDSA\nKey-Curve: ed25519\n${ecdh('cv25519')}`,
    nist: `Key-Type: ECDSA\nKey-Curve: nistp256\n${ecdh('nistp256')}`,
    nistlarge: `Key-Type: ECDSA\nKey-Curve: nistp384\n${ecdh('nistp521')}`,
  }
  const keys: Record<string, string> = {}
  for (const [name, lines] of Object.entries(kinds)) {
    const { key, fingerprint } = make(name, lines)
    keys[name] = key
    const read = readPgpKey(key, now)
    t.equal(read?.fingerprint, fingerprint, name)
    for (const size of [0, 1, 66, 9_000]) {
      const text = systemRandom.bytes(size)
      t.strictSame(
        gpg(['--decrypt'], encryptTo(read!, text, systemRandom)),
        text,
        `${name} ${size}`,
      )
    }
  }
  const ended = make('ended', 'Key-Type: RSA\nKey-Length: 2048\nExpire-Date: 2030-01-01')
  t.ok(readPgpKey(ended.key, now))
  t.equal(readPgpKey(ended.key, wallMs(Date.UTC(2031, 0, 1))), undefined, 'it has ended')
  const signing = make('signing', 'Key-Type: RSA\nKey-Length: 2048\nKey-Usage: sign')
  t.equal(readPgpKey(signing.key, now), undefined, 'it only signs')
  const text = Buffer.from('a share')
  let count = 0
  await untilBudget('OpenPGP keys damaged', 20_000, () => {
    const bytes = Buffer.from(Object.values(keys)[count++ % 5]!, 'base64')
    const at = Math.floor(systemRandom.fraction() * bytes.length)
    bytes[at] = Math.floor(systemRandom.fraction() * 256)
    const cut = bytes.subarray(0, 1 + Math.floor(systemRandom.fraction() * bytes.length))
    for (const one of [bytes, cut]) {
      const read = readPgpKey(one.toString('base64'), now)
      if (read !== undefined) encryptTo(read, text, systemRandom)
    }
  })
})

t.test('what is no key is none', async t => {
  for (const text of ['', 'AAAA', 'not base64!', 'mQ==', Buffer.alloc(40).toString('base64')]) {
    t.equal(readPgpKey(text, now), undefined, JSON.stringify(text))
  }
})
