import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { createOutput, type OutputOptions } from '../../lib/cli/output.js'
import { progressLine, showProgress, timeText } from '../../lib/cli/progress.js'

/** An output whose streams are kept as texts. */
function captured(options: Partial<OutputOptions> = {}, terminal = false, columns = 80) {
  const texts = { stdout: '', stderr: '' }
  const stream = (name: 'stdout' | 'stderr') => {
    const pass = Object.assign(new PassThrough(), { isTTY: terminal, columns })
    pass.on('data', (data: Buffer) => {
      texts[name] += data.toString()
    })
    return pass as unknown as NodeJS.WriteStream
  }
  return { texts, output: createOutput({ json: false, quiet: false, color: false, ...options }, stream('stdout'), stream('stderr')) }
}

describe('output', () => {
  it('gives the text, or with --json one document and nothing else', () => {
    const plain = captured()
    plain.output.result({ a: 1 }, () => 'text\n\n')
    expect(plain.texts).to.deep.equal({ stdout: 'text\n', stderr: '' })
    const json = captured({ json: true })
    json.output.note('on the way')
    json.output.result({ a: 1 }, () => 'text')
    expect(json.texts).to.deep.equal({ stdout: '{"a":1}\n', stderr: 'on the way\n' })
  })

  it('--quiet keeps notes and progress back, but no warnings', () => {
    const { texts, output } = captured({ quiet: true }, true)
    output.note('note')
    output.progress('progress')
    output.progress('progress', { final: true })
    output.warn('warning')
    expect(texts.stderr).to.equal('warning\n')
  })

  it('redraws a live line on a terminal, cut to its width, and clears it for other lines', () => {
    const { texts, output } = captured({}, true)
    output.progress('x'.repeat(200))
    output.note('note')
    expect(texts.stderr).to.equal(`\r\x1b[K${'x'.repeat(79)}\r\x1b[Knote\n`)
    const piped = captured()
    piped.output.progress('half-way')
    piped.output.progress('done', { final: true })
    expect(piped.texts.stderr).to.equal('done\n')
  })

  it('does not cut lines to nothing where the terminal does not know its width', () => {
    const { texts, output } = captured({}, true, 0)
    output.progress('half-way')
    expect(texts.stderr).to.match(/half-way$/)
  })

  it('colours only when asked', () => {
    expect(captured().output.style('red', 'x')).to.equal('x')
    expect(captured({ color: true }).output.style('red', 'x')).to.equal('\x1b[31mx\x1b[39m')
  })

  it('lets no terminal sequence through but its own colours', () => {
    const name = 'a\x1b[31mred\x1b[0m\x9b2J\r.mp4'
    const cleaned = 'a [31mred [0m 2J .mp4'
    const { texts, output } = captured({ color: true }, true)
    output.warn(`  ${name}: not a video`)
    output.note(name)
    output.progress(name)
    expect(texts.stderr).to.equal(`  ${cleaned}: not a video\n${cleaned}\n\r\x1b[K${cleaned}`)
    output.result({}, () => `${output.style('bold', 'best')} is\n  ${name}`)
    expect(texts.stdout).to.equal(`\x1b[1mbest\x1b[22m is\n  ${cleaned}\n`)
  })
})

describe('progress', () => {
  it('shows how far, the loss and the time left', () => {
    expect(progressLine({ phase: 'train', done: 50, total: 200, loss: 1.23456 }, 10)).to.equal(
      'training                █████···············  50/200  loss 1.235  30 s left',
    )
    expect(progressLine({ phase: 'train', done: 50, total: 200, loss: 1.23456, skipped: 3 }, 10)).to.match(/ 50\/200 {2}loss 1\.235 {2}3 skipped {2}30 s left$/)
    expect(progressLine({ phase: 'decode', done: 7, total: 7 }, 63)).to.match(/^decoding videos .* 7\/7 {2}in 1 min 3 s$/)
    expect(progressLine({ phase: 'evaluate', done: 0, total: 0 }, 0)).to.include('████████████████████')
  })

  it('writes times as people do', () => {
    expect([0.04, 9.94, 9.96, 59.4, 59.6, 3599.4, 3661, 7322].map(timeText)).to.deep.equal([
      '0.0 s',
      '9.9 s',
      '10 s',
      '59 s',
      '1 min 0 s',
      '59 min 59 s',
      '1 h 1 min',
      '2 h 2 min',
    ])
  })

  it('redraws ten times a second at most, starts anew with each phase, and leaves a line when one is done', () => {
    const { texts, output } = captured()
    let now = 0
    const show = showProgress(output, () => now)
    for (const phase of ['decode', 'train']) {
      for (let done = 1; done <= 100; done++) {
        now += 20
        show({ phase, done, total: 100, ...(phase === 'train' && { loss: 1 }) })
      }
    }
    expect(texts.stderr.trimEnd().split('\n')).to.have.length(2)
    expect(texts.stderr).to.match(/decoding videos.*100\/100 {2}in 2\.0 s\ntraining.*100\/100 {2}loss 1\.000 {2}in 2\.0 s/)
    const live = captured({}, true)
    now = 0
    const draw = showProgress(live.output, () => now)
    for (let done = 1; done <= 50; done++) {
      now += 20
      draw({ phase: 'train', done, total: 100 })
    }
    expect(live.texts.stderr.split('\r').length - 1).to.equal(10)
  })
})
