/**
 * OCSP: requests as OpenSSL makes them, answers that it verifies.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { signNow } from '../../src/x509/algorithm.ts'
import { DerError } from '../../src/x509/der.ts'
import {
  isAskedOf,
  type OcspAnswer,
  ocspBody,
  ocspFailure,
  readOcspRequest,
} from '../../src/x509/ocsp.ts'
import { tempFolder } from '../clients/process.ts'
import { clientFile } from '../run/clients.ts'
import { keyKinds, leafContent, needsOpenssl, openssl, testAuthority } from './openssl.ts'

const HOUR_MS = 3_600_000
const now = new Date(Math.floor(Date.now() / 1000) * 1000)

t.test('good, revoked and unknown, as OpenSSL verifies them', needsOpenssl, async t => {
  const folder = tempFolder(t)
  const file = (name: string): string => join(folder, name)
  const statuses: Record<string, OcspAnswer['status']> = {
    good: 'good',
    unknown: 'unknown',
    revoked: { revokedAt: now, reason: 'keyCompromise' },
    bare: { revokedAt: now },
  }
  for (const kind of Object.keys(keyKinds) as (keyof typeof keyKinds)[]) {
    const root = testAuthority(kind)
    const other = testAuthority()
    writeFileSync(file('root'), root.certificate.pem)
    const words: string[] = ['ocsp', '-issuer', file('root')]
    for (const name of Object.keys(statuses)) {
      const leaf = root.issue(leafContent(keyKinds['P-256']().privateKey))
      writeFileSync(file(name), leaf.pem)
      words.push(name === 'good' ? '-sha256' : '-sha1', '-cert', file(name))
    }
    openssl(...words, '-reqout', file('request'))
    const { questions, nonce } = readOcspRequest(readFileSync(file('request')))
    t.same(questions.map(({ hash }) => hash).sort(), ['sha1', 'sha1', 'sha1', 'sha256'])
    t.ok(nonce !== undefined && nonce.length > 16)
    t.ok(questions.every(each => isAskedOf(each, root.certificate)))
    t.notOk(questions.some(each => isAskedOf(each, other.certificate)))
    const answers = questions.map(({ certId }, at) => ({
      ...{ certId, thisUpdate: now, nextUpdate: new Date(+now + HOUR_MS) },
      status: Object.values(statuses)[at]!,
    }))
    const usePss = kind.startsWith('RSA')
    const body = ocspBody({ answers, producedAt: now, nonce }, { ...root, usePss })
    writeFileSync(file('answer'), signNow(body, root.key))
    const read = (...more: string[]): string => {
      const all = [...more, '-respin', file('answer'), '-CAfile', file('root')]
      const { stdout, stderr } = spawnSync(clientFile('openssl'), all, { encoding: 'utf8' })
      return stderr + stdout
    }
    const checked = read('ocsp', '-reqin', file('request'), '-issuer', file('root'))
    t.match(checked, /Response verify OK/, kind)
    t.notMatch(checked, /nonce/i)
    const stdout = read(...words, '-no_nonce')
    t.match(stdout, new RegExp(`${file('good')}: good\\s+This Update`))
    t.match(stdout, new RegExp(`${file('unknown')}: unknown`))
    t.match(stdout, new RegExp(`${file('revoked')}: revoked[\\s\\S]*Reason: keyCompromise`))
    t.match(stdout, new RegExp(`${file('bare')}: revoked`))
  }
})

t.test('failures, as OpenSSL prints them', needsOpenssl, async t => {
  const file = join(tempFolder(t), 'answer')
  const words = {
    malformed: /malformedrequest \(1\)/,
    internal: /internalerror \(2\)/,
    tryLater: /trylater \(3\)/,
    unauthorized: /unauthorized \(6\)/,
  }
  for (const [why, text] of Object.entries(words)) {
    writeFileSync(file, ocspFailure(why as keyof typeof words))
    const { stdout, stderr } = spawnSync(clientFile('openssl'), ['ocsp', '-respin', file], {
      encoding: 'utf8',
    })
    t.match(stdout + stderr, text, why)
  }
})

t.test('requests that are none', async t => {
  const wrong: Record<string, string> = {
    nothing: '3000',
    'nothing asked': '300430023000',
    'another version': '300930073005a003020101',
    'a hash that is not known': '30153013301130 0f300d300506032a0304040004000201 01'.replaceAll(
      ' ',
      '',
    ),
  }
  for (const [name, hex] of Object.entries(wrong)) {
    t.throws(() => readOcspRequest(Buffer.from(hex, 'hex')), DerError, name)
  }
})
