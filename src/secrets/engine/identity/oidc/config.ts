/**
 * The path of the configuration of identity tokens: `identity/oidc/config`.
 *
 * Owns its declaration. Pure.
 */
import { NOTHING, type PathSpec, path } from '../../../declare.ts'
import { str } from '../../../field.ts'
import { configuredIssuer, issuerWarnings, refuseIssuer } from '../../../oidc/issuer.ts'
import { CONFIG, type ConfigRow, configRows } from '../../../oidc/rows.ts'
import * as shape from '../../../shape.ts'
import type { OidcPorts } from './ports.ts'

const fields = {
  issuer: str(
    'Scheme, host and port that identity tokens say they are from; empty for the address of the server that answers.',
  ),
}

export const configPath = ({ addresses }: Pick<OidcPorts, 'addresses'>): PathSpec =>
  path({
    pattern: 'oidc/config',
    help: {
      synopsis: 'Who identity tokens say that they are from.',
      description: 'Where several servers answer, it is one address that all are reached by.',
    },
    fields,
    access: 'authorized',
    operations: {
      read: {
        summary: 'Tells the configured issuer.',
        answer: shape.object({ issuer: shape.text }),
        run: ({ draft, namespace }) => ({
          data: { issuer: configuredIssuer(draft, namespace.id) },
        }),
      },
      update: {
        summary: 'Sets the issuer.',
        examples: [{ issuer: 'https://vault.example.com:8200' }],
        run({ draft, namespace, fields: { issuer } }) {
          if (issuer === undefined) return NOTHING
          const refused = refuseIssuer(issuer)
          if (refused !== undefined) return refused
          configRows(draft, namespace.id).put(CONFIG, { issuer } satisfies ConfigRow)
          const warnings = issuerWarnings(issuer, addresses())
          return warnings.length === 0 ? NOTHING : { warnings }
        },
      },
    },
  })
