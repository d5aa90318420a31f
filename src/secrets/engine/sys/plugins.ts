/**
 * `sys/plugins/catalog`: the engines and auth methods that there are.
 *
 * Owns the paths. All of them are built in.
 */

import { Refusal } from '../../../base/errors.ts'
import { vaultVersion } from '../../../base/version.ts'
import { type Engine, NOTHING, type PathSpec, path } from '../../declare.ts'
import { str } from '../../field.ts'
import { ENGINE_VERSION } from '../../mount/show.ts'
import { bool, keys, list, nullable, object, text, texts } from '../../shape.ts'

/** The paths of the catalog. */
export const pluginPaths = (engines: readonly Engine[]): PathSpec[] => [
  catalogPath(engines),
  typePath(engines),
  entryPath(engines),
]

const TYPES = ['auth', 'database', 'secret'] as const

const namesOf = (engines: readonly Engine[], type: string): string[] =>
  engines
    .filter(each => each.kind === type && each.isMountable)
    .map(each => each.type)
    .sort()

const catalogPath = (engines: readonly Engine[]): PathSpec =>
  path({
    pattern: 'plugins/catalog',
    help: {
      synopsis: 'Lists the engines and auth methods that there are.',
      description: `All are built in, with version ${vaultVersion} of Vault's API.`,
    },
    fields: {},
    access: 'authorized',
    operations: {
      read: {
        summary: 'Lists the engines and auth methods that there are.',
        answer: object({
          auth: texts,
          database: texts,
          secret: texts,
          detailed: list(
            object({
              type: text,
              name: text,
              version: text,
              builtin: bool,
              deprecation_status: text,
            }),
          ),
        }),
        run: () => ({
          data: {
            ...Object.fromEntries(TYPES.map(type => [type, namesOf(engines, type)])),
            detailed: TYPES.flatMap(type =>
              namesOf(engines, type).map(name => ({
                ...{ type, name, version: ENGINE_VERSION, builtin: true },
                deprecation_status: 'supported',
              })),
            ),
          },
        }),
      },
    },
  })

const typePath = (engines: readonly Engine[]): PathSpec =>
  path({
    pattern: 'plugins/catalog/{type}',
    help: {
      synopsis: 'Lists the engines or auth methods that there are.',
      description: 'By their type: auth, database or secret.',
    },
    fields: { type: str('auth, database or secret.') },
    access: 'privileged',
    operations: {
      list: {
        summary: 'Lists the engines or auth methods that there are.',
        answer: keys,
        run({ fields: { type = '' } }) {
          if (!TYPES.some(each => each === type)) return unknown(type)
          const names = namesOf(engines, type)
          return names.length === 0 ? NOTHING : { data: { keys: names } }
        },
      },
    },
  })

const unknown = (type: string): Refusal =>
  new Refusal(400, `${JSON.stringify(type)} is not a supported plugin type`)

const LATER = new Refusal(501, 'not served yet: engines that are not built in')

const entryPath = (engines: readonly Engine[]): PathSpec =>
  path({
    pattern: 'plugins/catalog/{type}/{name}',
    help: {
      synopsis: 'Shows an engine or auth method.',
      description: 'Others than those that are built in cannot be added yet.',
    },
    fields: {
      type: str('auth, database or secret.'),
      name: str('Its name.'),
      version: str('There is one.'),
    },
    access: 'privileged',
    operations: {
      read: {
        summary: 'Shows an engine or auth method.',
        answer: object({
          name: text,
          args: nullable(texts),
          command: text,
          sha256: text,
          builtin: bool,
          version: text,
          deprecation_status: text,
        }),
        run({ fields: { type = '', name = '' } }) {
          if (!TYPES.some(each => each === type)) return unknown(type)
          if (!namesOf(engines, type).includes(name)) return NOTHING
          return {
            data: {
              ...{ name, args: [], command: '', sha256: '', builtin: true },
              ...{ version: ENGINE_VERSION, deprecation_status: 'supported' },
            },
          }
        },
      },
      update: { summary: 'Comes later.', effect: 'reads', run: () => LATER },
      delete: { summary: 'Comes later.', effect: 'reads', run: () => LATER },
    },
  })
