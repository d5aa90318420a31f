/**
 * The topic of certificates: those of a mount that should have been renewed by now, until they end.
 *
 * Owns which these are: stored ones of whose life two thirds are over. They are rows that no view
 * holds and of which no event tells, so all are read anew from time to time, while somebody follows
 * and at no other time: a small mount's each minute, a large one's so seldom that reading takes a
 * small share of the time. What will be due before that is kept, and told when it is; a mount with
 * more of these than a bound is refused.
 */
import { type Bytes, fromText, toText } from '../../base/bytes.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { renewalMs, usualPace } from '../../base/renewal.ts'
import { inSlices } from '../../base/slices.ts'
import { text, texts } from '../../filter/fields.ts'
import { defineTopic, type Topic } from '../../store/topic.ts'
import { readCertificate } from '../../x509/certificate.ts'
import { fieldsOfName } from '../../x509/name.ts'
import type { ColdEntry } from '../cold-storage.ts'
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
        const due = new DueCertificates(ports, path)
        return new Polled(ports, ears, {
          read: () => due.read(),
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
  `not served yet: the feed of a mount of whose certificates more than ${limits.certificateFeedRows} are due`,
)

/** A certificate that is due, or will be soon. */
interface Soon {
  readonly facts: CertificateFacts
  readonly dueMs: number
  readonly notAfterMs: number
}

/** A mount's certificates that are due, or will be before all of them are read again. */
class DueCertificates {
  readonly #ports: SecretsFeedPorts
  readonly #path: string
  /** By serial number, in the order of those. */
  #soon: ReadonlyMap<string, Soon> = new Map()
  /** The mount that was read, when, and when it is to be read again. */
  #uuid = ''
  #readMs = 0
  #nextMs = 0

  constructor(ports: SecretsFeedPorts, path: string) {
    this.#ports = ports
    this.#path = path
  }

  /** Those that are due now: neither over nor revoked. */
  async read(): Promise<ReadonlyMap<Bytes, CertificateFacts> | Refusal> {
    const draft = draftOf(this.#ports)
    if (draft === undefined) return SEALED
    const placed = pkiMounts(draft).find(({ wholePath }) => wholePath === this.#path)
    if (placed === undefined) return NO_MOUNT
    const { now } = draft
    // A clock that was set back knows nothing of what was read.
    const isKnown = placed.mount.uuid === this.#uuid && now >= this.#readMs && now < this.#nextMs
    const refused = isKnown ? undefined : await this.#readAll(draft, placed)
    if (refused !== undefined) return refused
    const due = new Map<Bytes, CertificateFacts>()
    const storage = storageOf(draft, placed.mount)
    await inSlices(this.#soon, ([serial, { facts, dueMs, notAfterMs }]) => {
      const isDue = dueMs <= now && notAfterMs > now && revokedAt(storage, serial) === undefined
      if (isDue) due.set(fromText(serial), facts)
    })
    return due
  }

  async #readAll(draft: Draft, { mount }: PlacedMount): Promise<Refusal | undefined> {
    const { clock } = this.#ports
    const fromMs = clock.monotonic()
    const soon = new Map<string, Soon>()
    const take = ({ path: serial, value }: ColdEntry<CertificateRow>): void => {
      const one = soonOf(serial, value, draft.now)
      if (one !== undefined) soon.set(serial, one)
    }
    const cold = coldOf(draft, mount)
    const limit = PAGE_ROWS
    for (let after: string | undefined; ; ) {
      const page = await cold.scan<CertificateRow>('', { limit, ...(after && { after }) })
      await inSlices(page, take, 1)
      if (soon.size > limits.certificateFeedRows) return TOO_MANY
      if (page.length < limit) break
      after = page.at(-1)!.path
    }
    const wantedMs = (clock.monotonic() - fromMs) * limits.certificateFeedShare
    const pauseMs = Math.max(limits.certificateFeedReadMs, wantedMs)
    this.#soon = soon
    this.#uuid = mount.uuid
    this.#readMs = draft.now
    this.#nextMs = draft.now + Math.min(pauseMs, limits.certificateFeedAllMs)
    return undefined
  }
}

/** One that is not over, and that somebody should renew before all are read again at the latest. */
function soonOf(serial: string, row: CertificateRow, nowMs: number): Soon | undefined {
  const { issuedAtMs, notAfterMs } = row
  const dueMs = renewalMs({ fromMs: issuedAtMs, untilMs: notAfterMs }, usualPace, NO_CHANCE)
  const isSoon = notAfterMs > nowMs && dueMs <= nowMs + limits.certificateFeedAllMs
  return isSoon ? { facts: factsOf(serial, row), dueMs, notAfterMs } : undefined
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
