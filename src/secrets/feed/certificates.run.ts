/**
 * The topic of certificates: those of a mount that should have been renewed by now, until they end.
 *
 * Owns which these are: stored ones of whose life two thirds are over. They are rows that no view
 * holds and of which no event tells, so they are read anew from time to time, while somebody
 * follows and at no other time; a mount that keeps more of them than a bound is refused.
 */
import { type Bytes, fromText, toText } from '../../base/bytes.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { renewalMs, usualPace } from '../../base/renewal.ts'
import { afterPoll, loopMs } from '../../base/slices.ts'
import { text, texts } from '../../filter/fields.ts'
import { defineTopic, type Topic } from '../../store/topic.ts'
import { readCertificate } from '../../x509/certificate.ts'
import { fieldsOfName } from '../../x509/name.ts'
import type { CertificateRow } from '../engine/pki/certificates.ts'
import { revokedAt } from '../engine/pki/revoke/rows.ts'
import { momentText } from '../engine/pki/role/times.ts'
import { serialText } from '../engine/pki/serial.ts'
import { coldOf, storageOf } from '../mount/mount.ts'
import type { Draft } from '../storage.ts'
import { type PlacedMount, pkiMounts } from './mounts.ts'
import { mountPathOf, Polled } from './polled.run.ts'
import {
  draftOf,
  type SecretsAuthority,
  type SecretsFeedPorts,
  SecretsReader,
} from './reader.run.ts'

/** What is told of a certificate. */
export interface CertificateFacts {
  readonly SerialNumber: string
  /** '' for none. */
  readonly CommonName: string
  readonly DNSNames: readonly string[]
  /** '' where none was asked. */
  readonly Role: string
  readonly IssuedAt: string
  readonly NotAfter: string
}

export const certificatesTopic = (
  ports: SecretsFeedPorts,
  authority: SecretsAuthority,
): Topic<CertificateFacts> =>
  defineTopic({
    name: 'certificates',
    subject: 'mount',
    summary: 'Stored certificates of a PKI mount that are due for renewal, until they end.',
    fields: {
      SerialNumber: text(({ SerialNumber }) => SerialNumber),
      CommonName: text(({ CommonName }) => CommonName),
      DNSNames: texts(({ DNSNames }) => DNSNames),
      Role: text(({ Role }) => Role),
    },
    authority,
    access: () => [],
    normal(subject) {
      const path = mountPathOf(subject)
      return path instanceof Refusal ? path : fromText(path)
    },
    refuse: (who, subject) =>
      who instanceof SecretsReader ? who.refusalOf('list', `${toText(subject)}certs/`) : NO_READER,
    may: () => true,
    source: {
      open(subject, ears) {
        const path = mountPathOf(subject)
        if (path instanceof Refusal) return path
        return new Polled(ports, ears, {
          read: () => readDue(ports, path),
          scope: '',
          pauseMs: limits.certificateFeedReadMs,
          latestMs: limits.certificateFeedReadMs,
        })
      },
    },
  })

const NO_READER = new Refusal(403, 'permission denied')
const SEALED = new Refusal(503, 'Vault is sealed')
const NO_MOUNT = new Refusal(404, 'there is no PKI mount at this path')
const TOO_MANY = new Refusal(
  501,
  `not served yet: the feed of a mount that keeps more than ${limits.certificateFeedRows} certificates`,
)

async function readDue(
  ports: SecretsFeedPorts,
  path: string,
): Promise<ReadonlyMap<Bytes, CertificateFacts> | Refusal> {
  const draft = draftOf(ports)
  if (draft === undefined) return SEALED
  const placed = pkiMounts(draft).find(({ wholePath }) => wholePath === path)
  if (placed === undefined) return NO_MOUNT
  const due = new Map<Bytes, CertificateFacts>()
  const cold = coldOf(draft, placed.mount)
  let rows = 0
  for (let after: string | undefined; ; ) {
    const limit = PAGE_ROWS
    const page = await cold.scan<CertificateRow>('', { limit, ...(after && { after }) })
    let startedMs = loopMs()
    for (const { path: serial, value } of page) {
      if (isDue(draft, placed, serial, value)) due.set(fromText(serial), factsOf(serial, value))
      if (loopMs() - startedMs < limits.sliceMs / 2) continue
      await new Promise<void>(afterPoll)
      startedMs = loopMs()
    }
    rows += page.length
    if (rows > limits.certificateFeedRows) return TOO_MANY
    if (page.length < limit) return due
    after = page.at(-1)!.path
  }
}

/** Whether somebody should have renewed it: it is neither over nor revoked. */
function isDue(
  draft: Draft,
  { mount }: PlacedMount,
  serial: string,
  { issuedAtMs, notAfterMs }: CertificateRow,
): boolean {
  const life = { fromMs: issuedAtMs, untilMs: notAfterMs }
  const dueMs = renewalMs(life, usualPace, NO_CHANCE)
  return (
    notAfterMs > draft.now &&
    dueMs <= draft.now &&
    revokedAt(storageOf(draft, mount), serial) === undefined
  )
}

/** Each page is opened at once. */
const PAGE_ROWS = 128
const NO_CHANCE = { fraction: () => 0.5 }

function factsOf(serial: string, { der, role, issuedAtMs, notAfterMs }: CertificateRow) {
  const { subjectName, names } = readCertificate(Buffer.from(der, 'base64'))
  return {
    SerialNumber: serialText(serial),
    CommonName: fieldsOfName(subjectName).commonName ?? '',
    DNSNames: names.dnsNames.slice(0, limits.pkiDetailedNames),
    Role: role,
    IssuedAt: momentText(issuedAtMs),
    NotAfter: momentText(notAfterMs),
  }
}
