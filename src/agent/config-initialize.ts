/**
 * The stanza `initialize "name" { … }` of the configuration: what there is to be in the secrets.
 *
 * Owns what the stanza needs beside itself. Its form is src/secrets/declared's work. Pure.
 */
import type { HclObject, HclValue } from '../hcl/hcl.ts'
import { type Entry, entriesOf } from '../secrets/declared/document.ts'
import type { Settings } from './config-read.ts'

type Complain = (block: HclObject, field: string, problem: string) => void

/** Reads what stands behind `initialize`. */
export const readInitialize = (value: HclValue, complain: Complain): Entry[] =>
  entriesOf({ initialize: value }, problem => complain({}, 'an entry', problem))

/** The entries. They need a seal that opens without people. */
export function buildInitialize(settings: Settings, isDev: boolean): readonly Entry[] {
  const entries = settings.get('initialize')
  const isOpen = settings.get('seal').length > 0 || settings.get('secrets.auto_init') || isDev
  if (entries.length > 0 && !isOpen) {
    settings.complain('initialize', 'needs a seal that opens without people: seal "static" { … }')
  }
  const names = entries.map(({ name }) => name)
  const again = names.find((name, at) => names.indexOf(name) < at)
  if (again !== undefined) settings.complain('initialize', `${again} stands more than once`)
  return entries
}
