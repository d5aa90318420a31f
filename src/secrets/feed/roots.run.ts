/**
 * The topic of roots: the certificates of the authorities of PKI mounts, public material alone.
 *
 * Owns what is told of an issuer and of which mounts: of those at which its reader may do anything.
 */
import { type Bytes, fromText } from '../../base/bytes.ts'
import { Refusal } from '../../base/errors.ts'
import { limits } from '../../base/limits.ts'
import { bool, text } from '../../filter/fields.ts'
import { secretData } from '../../store/tables/secret.ts'
import { defineTopic, type Topic } from '../../store/topic.ts'
import { issuerOfRow } from '../engine/pki/issuer/stored.ts'
import { momentText } from '../engine/pki/role/times.ts'
import { issuersConfigOf, issuersOf } from '../engine/pki/rows.ts'
import { storageOf } from '../mount/mount.ts'
import { pkiMounts } from './mounts.ts'
import { Polled } from './polled.run.ts'
import {
  draftOf,
  type SecretsAuthority,
  type SecretsFeedPorts,
  SecretsReader,
} from './reader.run.ts'

/** What is told of an authority. */
export interface RootFacts {
  /** With its namespace, and a slash at its end. */
  readonly Mount: string
  readonly IssuerID: string
  /** '' for none. */
  readonly IssuerName: string
  /** Whether it gives what is asked of no issuer by name. */
  readonly IsDefault: boolean
  /** Whether it signed itself: all others lead to one that did. */
  readonly IsRoot: boolean
  readonly SerialNumber: string
  readonly NotBefore: string
  readonly NotAfter: string
  /** PEM. */
  readonly Certificate: string
}

export const rootsTopic = (
  ports: SecretsFeedPorts,
  authority: SecretsAuthority,
): Topic<RootFacts> =>
  defineTopic({
    name: 'roots',
    subject: '',
    summary: 'The certificates of the authorities of PKI mounts.',
    fields: {
      Mount: text(({ Mount }) => Mount),
      IssuerID: text(({ IssuerID }) => IssuerID),
      IssuerName: text(({ IssuerName }) => IssuerName),
      SerialNumber: text(({ SerialNumber }) => SerialNumber),
      IsDefault: bool(({ IsDefault }) => IsDefault),
      IsRoot: bool(({ IsRoot }) => IsRoot),
    },
    authority,
    access: () => [],
    normal: subject => subject,
    may: (who, { value }) => who instanceof SecretsReader && who.reaches(value.Mount),
    source: {
      open: (_subject, ears) =>
        new Polled(ports, ears, {
          read: () => readRoots(ports),
          scope: secretData.name,
          pauseMs: limits.secretsFeedPauseMs,
          latestMs: limits.secretsFeedLatestMs,
        }),
    },
  })

const SEALED = new Refusal(503, 'Vault is sealed')

function readRoots(ports: SecretsFeedPorts): ReadonlyMap<Bytes, RootFacts> | Refusal {
  const draft = draftOf(ports)
  if (draft === undefined) return SEALED
  const found = new Map<Bytes, RootFacts>()
  for (const { mount, wholePath } of pkiMounts(draft)) {
    const storage = storageOf(draft, mount)
    const { default: defaultId } = issuersConfigOf(storage)
    for (const row of issuersOf(storage)) {
      const { certificate, pem } = issuerOfRow(row)
      found.set(fromText(wholePath + row.id), {
        ...{ Mount: wholePath, IssuerID: row.id, IssuerName: row.name, SerialNumber: row.serial },
        ...{ IsDefault: row.id === defaultId, IsRoot: row.isSelfIssued, Certificate: pem },
        NotBefore: momentText(certificate.notBefore.getTime()),
        NotAfter: momentText(certificate.notAfter.getTime()),
      })
    }
  }
  return found
}
