/**
 * The sink `haproxy-file`: HAProxy's configuration, or a part of it, made by a template.
 *
 * Owns the declaration. HAProxy itself checks the new file before it replaces the old one.
 */
import { CheckedFile, fileFields, fileProblem } from '../checked-file.run.ts'
import { defineSink } from '../declare.ts'
import { hostOf } from '../place.ts'
import { quotes } from '../quote.ts'
import { fileTarget, renderTemplate, templateFields, withTemplate } from '../template-file.ts'

export const haproxyFileSink = defineSink({
  kind: 'haproxy-file',
  summary: 'HAProxy’s configuration, or a part of it, made by a template and loaded by a reload',
  isLocal: true,
  onEmpty: 'keep',
  fields: {
    ...fileFields,
    ...templateFields,
    check: { ...fileFields.check, byDefault: ['haproxy', '-c', '-f', '{file}'] },
    reload: { ...fileFields.reload, isRequired: true },
  },
  problemOf(settings) {
    if (settings.template === undefined && settings.template_file === undefined) {
      return 'template: is missing, as is template_file'
    }
    return fileProblem(settings)
  },
  takes: (_, { address }) => hostOf(address) !== undefined,
  prepare: withTemplate,
  render: ({ template = '', use }, state) => renderTemplate({ template, use }, state, quotes.word),
  open: (settings, ports) => fileTarget(new CheckedFile(settings, ports)),
})
