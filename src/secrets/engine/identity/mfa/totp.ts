/**
 * The paths that give entities secrets for passcodes, and take them away.
 *
 * Owns their declarations. A secret is told once, as it is made: as a URL, and as a picture of it.
 * Pure.
 */
import { Refusal } from '../../../../base/errors.ts'
import { type Call, NOTHING, type Outcome, type PathSpec, path } from '../../../declare.ts'
import { str } from '../../../field.ts'
import { entityById } from '../../../identity/entity.ts'
import { type MethodRow, type TotpConfig, usableMethod } from '../../../mfa/method.ts'
import { qrPng, refuseQr } from '../../../mfa/qr.ts'
import { deleteSecret, newSecret, secretOf } from '../../../mfa/secret.ts'
import { otpauthUrl } from '../../../mfa/totp.ts'
import * as shape from '../../../shape.ts'

const bad = (text: string): Refusal => new Refusal(400, text)

const ownFields = { method_id: str('The id of a method of passcodes.') }
const adminFields = { ...ownFields, entity_id: str('The id of the entity.') }
type AdminCall = Call<typeof adminFields>

type TotpMethod = MethodRow & { readonly config: TotpConfig }

const answer = shape.object({ url: shape.text, barcode: shape.text })

/** The method of a request, and the entity. */
function meant(
  { draft, namespace, fields }: Pick<AdminCall, 'draft' | 'namespace' | 'fields'>,
  entityId: string,
  missing: string,
): { readonly method: TotpMethod; readonly entityId: string } | Refusal {
  const { method_id: id = '' } = fields
  if (id === '') return bad('missing method ID')
  if (entityId === '') return bad(missing)
  const method = usableMethod(draft, namespace, id)
  if (method === undefined) {
    return bad(`configuration for method ID ${JSON.stringify(id)} does not exist`)
  }
  const entity = entityById(draft, namespace.id, entityId)
  if (entity === undefined) return bad('invalid entity ID')
  return method.type === 'totp'
    ? { method, entityId: entity.id }
    : bad(`generate not available for MFA type ${JSON.stringify(method.type)}`)
}

function generate(call: Pick<AdminCall, 'draft' | 'namespace' | 'fields'>, asked: string): Outcome {
  const { draft, namespace } = call
  const found = meant(call, asked, 'missing entityID')
  if (found instanceof Refusal) return found
  const { method, entityId } = found
  const at = { namespaceId: namespace.id, entityId }
  if (secretOf(draft, at, method.id) !== undefined) {
    const name = JSON.stringify(method.name)
    return { warnings: [`Entity already has a secret for MFA method ${name}`] }
  }
  const url = otpauthUrl(newSecret(draft, at, method), entityId)
  const { qrPixels } = method.config
  const refused = refuseQr(url, qrPixels)
  if (refused !== undefined) return refused
  return { data: { barcode: qrPng(url, qrPixels), url } }
}

function destroy(call: AdminCall): Outcome {
  const found = meant(call, call.fields.entity_id ?? '', 'missing entity ID')
  if (found instanceof Refusal) return found
  const { method, entityId } = found
  deleteSecret(call.draft, { namespaceId: call.namespace.id, entityId }, method.id)
  return NOTHING
}

const GIVES = 'Gives an entity a secret, unless it has one.'

export const totpPaths: readonly PathSpec[] = [
  path({
    pattern: 'mfa/method/totp/generate',
    help: { synopsis: 'Gives whoever asks a secret, unless he has one.', description: GIVES },
    fields: ownFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Gives whoever asks a secret, unless he has one.',
        answer,
        run: call => generate(call as unknown as AdminCall, call.who?.token.entityId ?? ''),
        examples: [{ method_id: 'the-id-of-a-method' }],
      },
    },
  }),
  path({
    pattern: 'mfa/method/totp/admin-generate',
    help: { synopsis: GIVES, description: 'It is shown this once.' },
    fields: adminFields,
    access: 'authorized',
    operations: {
      update: {
        summary: GIVES,
        answer,
        run: call => generate(call, call.fields.entity_id ?? ''),
        examples: [{ method_id: 'the-id-of-a-method', entity_id: 'the-id-of-an-entity' }],
      },
    },
  }),
  path({
    pattern: 'mfa/method/totp/admin-destroy',
    help: { synopsis: 'Takes a secret away from an entity.', description: 'Its app is of no use.' },
    fields: adminFields,
    access: 'authorized',
    operations: {
      update: {
        summary: 'Takes a secret away from an entity.',
        run: destroy,
        examples: [{ method_id: 'the-id-of-a-method', entity_id: 'the-id-of-an-entity' }],
      },
    },
  }),
]
