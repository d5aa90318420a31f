/**
 * The topic of services: their names with the tags of all instances.
 *
 * Owns when a name is touched: whenever an instance of it is. One that changes nothing of name and
 * tags tells nobody. Pure.
 */
import { type Bytes, fromText, toText } from '../../base/bytes.ts'
import { access } from '../../base/who.ts'
import type { View } from '../../store/ask.ts'
import { pair, scope } from '../../store/tables/names.ts'
import { type ServiceRow, services, splitTag } from '../../store/tables/service.ts'
import { defineTopic, type Item, isNew, type Marks, type Topic } from '../../store/topic.ts'
import type { ServiceTags } from '../catalog.ts'
import { serviceTagFields } from '../fields.ts'

export const servicesTopic: Topic<ServiceTags> = defineTopic({
  name: 'services',
  subject: '',
  summary: 'The names of all services, with their tags.',
  fields: serviceTagFields,
  access: () => [access('read', 'service')],
  normal: () => '',
  may: (who, { value }) => who.may(access('read', 'service', value.name)),
  source: {
    tables: [services.name],
    isEach: false,
    *items(view, _subject, marks) {
      let open: { name: string; tags: string[] } | undefined
      for (const value of view.values(services, 'tag')) {
        const { name, tag } = splitTag(value)
        if (open?.name !== name) {
          if (open !== undefined) yield itemOf(open, marks)
          open = { name, tags: [] }
        }
        if (tag === '') yield undefined
        else open.tags.push(tag)
      }
      if (open !== undefined) yield itemOf(open, marks)
    },
    item: (view, _subject, key, marks) => tagsOf(view, toText(key), marks),
    *touches(event) {
      if (event.before === undefined && !isNew(event)) yield { subject: '', isUnknown: true }
      for (const cell of [event.before, event.after]) {
        if (cell === undefined) continue
        const { name } = cell.row as ServiceRow
        yield { subject: '', key: fromText(name), was: [access('read', 'service', name)] }
      }
    },
    isSame: ({ value: before }, { value: after }) =>
      before.tags.length === after.tags.length &&
      before.tags.every((tag, at) => tag === after.tags[at]),
  },
})

function itemOf(value: ServiceTags, marks: Marks): Item<ServiceTags> {
  return { key: fromText(value.name), index: marks(scope.service(value.name)), value }
}

function tagsOf(view: View, name: string, marks: Marks): Item<ServiceTags> | undefined {
  const prefix: Bytes = pair(fromText(name), '')
  const tags = view.distinct(services, 'tag', prefix).map(value => splitTag(value).tag)
  if (tags.length === 0) return undefined
  return itemOf({ name, tags: tags.filter(tag => tag !== '') }, marks)
}
