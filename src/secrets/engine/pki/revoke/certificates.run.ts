/**
 * Certificates that were given, as they are listed and fetched.
 *
 * Owns the paths `cert/{serial}` and `certs`. Stored certificates are read from cold rows, page by
 * page, so that a list of a million is not held up by, and does not hold up, anything else.
 */
import type { Refusal } from '../../../../base/errors.ts'
import { limits } from '../../../../base/limits.ts'
import { afterPoll } from '../../../../base/slices.ts'
import { type ParsedCertificate, readCertificate } from '../../../../x509/certificate.ts'
import { fieldsOfName } from '../../../../x509/name.ts'
import { pemOf } from '../../../../x509/pem.ts'
import { type Answer, type Call, NOTHING, path, prepared } from '../../../declare.ts'
import { str, toSeconds } from '../../../field.ts'
import * as shape from '../../../shape.ts'
import type { CertificateRow } from '../certificates.ts'
import { pageFields } from '../issuer/fields.ts'
import { kindOf } from '../issuer/keep.ts'
import { momentText } from '../role/times.ts'
import { issuersOf } from '../rows.ts'
import { serialHex, serialText } from '../serial.ts'
import { revokedAfter, revokedAt } from './rows.ts'

const fetchFields = { serial: str('The serial number, in hex with colons or hyphens.') }

const certificateShape = shape.object({
  certificate: shape.text,
  revocation_time: shape.int,
  revocation_time_rfc3339: shape.text,
  issuer_id: shape.optional(shape.text),
})

/** A certificate that was found: DER. */
interface Found {
  readonly serial: string
  readonly der: Buffer | undefined
}

type FetchCall = Call<typeof fetchFields, Found>
type PageCall<P = undefined> = Call<typeof pageFields, P>

const fetched = (form: string, answer: shape.Shape, tell: (call: FetchCall) => Answer) =>
  path({
    pattern: `cert/{serial}${form}`,
    help: { synopsis: 'A certificate.', description: 'Anybody may fetch it by its serial number.' },
    fields: fetchFields,
    access: 'open',
    operations: {
      read: prepared<typeof fetchFields, Found>({
        summary: 'Gives the certificate.',
        answer,
        prepare: find,
        run: tell,
      }),
    },
  })

const listed = (
  pattern: string,
  synopsis: string,
  prepare: (call: PageCall) => Promise<Answer | Refusal>,
) =>
  path({
    pattern,
    help: { synopsis, description: 'By serial number, in order.' },
    fields: pageFields,
    access: 'authorized',
    operations: {
      list: prepared<typeof pageFields, Answer>({
        summary: synopsis,
        answer: shape.keys,
        prepare,
        run: call => call.prepared,
      }),
    },
  })

/** The paths. */
export const certificatePaths = [
  fetched('', certificateShape, tellJson),
  fetched('/raw', shape.anything, ({ prepared: { der } }) => raw(der, 'application/pkix-cert')),
  fetched('/raw/pem', shape.anything, ({ prepared: { der } }) =>
    raw(der && pemOf('CERTIFICATE', der).trimEnd(), 'application/pem-certificate-chain'),
  ),
  listed('certs', 'All certificates that are stored.', listStored),
  listed('certs/detailed', 'The same, with what they say.', listDetailed),
  listed('certs/revoked', 'All certificates that were revoked.', listRevoked),
]

async function find({ cold, storage, fields }: Call<typeof fetchFields>): Promise<Found> {
  const serial = serialHex(fields.serial ?? '') ?? ''
  const row = serial === '' ? undefined : await cold.get<CertificateRow>(serial)
  // A root is an issuer whether it is stored as a certificate or was imported.
  const told = serialText(serial)
  const der = row?.der ?? issuersOf(storage).find(issuer => issuer.serial === told)?.der
  return { serial, der: der === undefined ? undefined : Buffer.from(der, 'base64') }
}

const raw = (body: Buffer | string | undefined, type: string): Answer =>
  body === undefined ? { status: 204, raw: { body: '', type } } : { raw: { body, type } }

function tellJson({ storage, prepared: { serial, der } }: FetchCall): Answer {
  if (der === undefined) return NOTHING
  const revoked = revokedAt(storage, serial)
  return {
    data: {
      certificate: pemOf('CERTIFICATE', der).trimEnd(),
      revocation_time: revoked === undefined ? 0 : toSeconds(revoked.revokedAtMs),
      revocation_time_rfc3339: revoked === undefined ? '' : momentText(revoked.revokedAtMs),
      ...(revoked !== undefined && revoked.issuerId !== '' && { issuer_id: revoked.issuerId }),
    },
  }
}

/** Where a list goes on, and how much of it is wanted. */
function pageOf({ fields }: PageCall): { after: string; limit: number } {
  const { after = '', limit = 0 } = fields
  return { after: serialHex(after) ?? '', limit: limit > 0 ? limit : Number.POSITIVE_INFINITY }
}

/** Goes through all pages of the stored ones, until `take` has enough. */
async function eachPage<T>(
  call: PageCall,
  read: (wanted: { after: string; limit: number }) => Promise<readonly T[]>,
  serialOf: (item: T) => string,
): Promise<T[]> {
  const { after, limit } = pageOf(call)
  const all: T[] = []
  for (let from = after; all.length < limit; ) {
    const wanted = Math.min(limits.coldPageRows, limit - all.length)
    const page = await read({ after: from, limit: wanted })
    for (const item of page) all.push(item)
    const last = page.at(-1)
    if (last === undefined || page.length < wanted) break
    from = serialOf(last)
  }
  return all
}

async function listStored(call: PageCall): Promise<Answer> {
  const serials = await eachPage(
    call,
    wanted => call.cold.keys('', wanted),
    serial => serial,
  )
  return serials.length === 0 ? NOTHING : { data: { keys: serials.map(serialText) } }
}

async function listDetailed(call: PageCall): Promise<Answer> {
  const about: [string, object][] = []
  await eachPage(
    call,
    async wanted => {
      const page = await call.cold.scan<CertificateRow>('', wanted)
      for (const { path: serial, value } of page) {
        about.push([
          serialText(serial),
          detailsOf(readCertificate(Buffer.from(value.der, 'base64'))),
        ])
      }
      return page
    },
    ({ path: serial }) => serial,
  )
  if (about.length === 0) return NOTHING
  return { data: { key_info: Object.fromEntries(about), keys: about.map(([serial]) => serial) } }
}

/** What is told of a certificate in a list. */
function detailsOf(certificate: ParsedCertificate) {
  const { publicKey, subjectName, issuerName, names, notBefore, notAfter } = certificate
  const kind = kindOf(publicKey)
  const ED25519_BITS = 256
  return {
    common_name: fieldsOfName(subjectName).commonName ?? '',
    issuer: issuerName.map(([part, ...values]) => `${part}=${values.join('+')}`).join(','),
    key_type: kind?.type ?? 'unknown',
    key_bits: kind?.type === 'ed25519' ? ED25519_BITS : (kind?.bits ?? 0),
    not_before: momentText(notBefore.getTime()),
    not_after: momentText(notAfter.getTime()),
    dns_names: names.dnsNames.slice(0, limits.pkiDetailedNames),
  }
}

async function listRevoked(call: PageCall): Promise<Answer> {
  const { after, limit } = pageOf(call)
  const keys: string[] = []
  for (let from = after; keys.length < limit; ) {
    const wanted = Math.min(limits.coldPageRows, limit - keys.length)
    const page = revokedAfter(call.storage, from, wanted)
    for (const serial of page) keys.push(serialText(serial))
    if (page.length < wanted) break
    from = page.at(-1)!
    await giveBack()
  }
  return keys.length === 0 ? NOTHING : { data: { keys } }
}

const giveBack = (): Promise<void> => new Promise(afterPoll)
