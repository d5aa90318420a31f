/**
 * The sink `file`: a file made by a template, or the state as JSON.
 *
 * Owns the declaration.
 */
import { Refusal } from '../../../base/errors.ts'
import { limits } from '../../../base/limits.ts'
import { CheckedFile, fileFields, fileProblem } from '../checked-file.run.ts'
import { defineSink } from '../declare.ts'
import { documentOf } from '../document.ts'
import { hostOf } from '../place.ts'
import { quoteNames, quotes } from '../quote.ts'
import {
  fileTarget,
  renderedFile,
  renderTemplate,
  templateFields,
  withTemplate,
} from '../template-file.ts'

export const fileSink = defineSink({
  kind: 'file',
  summary: 'a file made by a template, or the state as JSON',
  isLocal: true,
  onEmpty: 'apply',
  fields: {
    ...fileFields,
    ...templateFields,
    mode: { ...fileFields.mode, byDefault: '0600' },
    form: {
      type: 'text',
      help: 'what the file is: made by the template, or JSON',
      oneOf: ['template', 'json'],
      byDefault: 'template',
    },
    quote: {
      type: 'text',
      help: 'what a value may be: a word, a line, part of a string of JSON, a word of a shell',
      oneOf: quoteNames,
      byDefault: 'word',
    },
  },
  problemOf(settings) {
    const { form, template, template_file: path } = settings
    const given = [template, path].filter(one => one !== undefined).length
    if (form === 'json' && given > 0) return 'template: a file of JSON has none'
    if (form === 'template' && template === undefined && path === undefined) {
      return 'template: is missing, as is template_file'
    }
    return fileProblem(settings)
  },
  takes: ({ form }, { address }) => form === 'json' || hostOf(address) !== undefined,
  prepare: withTemplate,
  render(settings, state) {
    const { form, template = '', use, quote } = settings
    if (form === 'template') {
      return renderTemplate({ template, use }, state, quotes[quote])
    }
    const text = `${JSON.stringify(documentOf(state, use), null, 2)}\n`
    if (text.length > limits.sinkFileSizeBytes) {
      return new Refusal(413, `the file would be larger than ${limits.sinkFileSizeBytes} bytes`)
    }
    return renderedFile(text, state, use, [])
  },
  open: (settings, ports) => fileTarget(new CheckedFile(settings, ports)),
})
