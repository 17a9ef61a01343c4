import { PassThrough } from 'node:stream'
import { expect } from 'chai'
import { LiveBlock } from '../../lib/cli/display/live-block.js'
import { showSearch, trialLine } from '../../lib/cli/display/search-display.js'
import { createOutput } from '../../lib/cli/output.js'
import type { StudyEvent } from '../../lib/search/events.js'
import { advance, replay, type StudyState } from '../../lib/search/state.js'
import type { Trial } from '../../lib/search/trial.js'
import { latencyOf, sampleNetwork } from '../search/fake-pool.js'
import { record } from '../search/study-record.js'
import { screenOf } from './screen.js'

function stream(terminal: boolean, columns = 100) {
  let text = ''
  const pass = Object.assign(new PassThrough(), { isTTY: terminal, columns })
  pass.on('data', (data: Buffer) => {
    text += data.toString()
  })
  return { stream: pass as unknown as NodeJS.WriteStream, text: () => text }
}

describe('live block', () => {
  it('is redrawn in place, below the lines that stay, and leaves nothing behind', () => {
    const { stream: terminal, text } = stream(true, 20)
    const block = new LiveBlock(terminal)
    block.draw(['a', 'b'])
    block.print('first')
    block.draw(['c', 'd', 'e'])
    expect(screenOf(text())).to.deep.equal(['first', 'c', 'd', 'e'])
    block.print('second')
    block.draw(['f'])
    expect(screenOf(text())).to.deep.equal(['first', 'second', 'f'])
    block.clear()
    block.clear()
    expect(screenOf(text())).to.deep.equal(['first', 'second'])
  })

  it('cuts lines that the terminal would wrap', () => {
    const { stream: terminal, text } = stream(true, 20)
    const block = new LiveBlock(terminal)
    block.draw(['█'.repeat(40)])
    expect(screenOf(text())).to.deep.equal(['█'.repeat(19)])
    const unknown = stream(true, 0)
    new LiveBlock(unknown.stream).draw(['whole'])
    expect(screenOf(unknown.text())).to.deep.equal(['whole'])
  })

  it('shows what names of files hold, not what it would do to the terminal', () => {
    const { stream: terminal, text } = stream(true)
    const block = new LiveBlock(terminal)
    block.draw(['x\x1b[31m'])
    block.print('y\x1b[31m')
    expect(text()).to.not.include('\x1b[31m')
  })
})

const latency = { ...latencyOf(sampleNetwork, record.limits), p90: 0.25 }
const proposed = (trial: number): StudyEvent => ({
  kind: 'proposed',
  trial,
  parent: trial < 2 ? null : 1,
  mutations: trial < 2 ? [] : ['filters[0]'],
  network: sampleNetwork,
  params: 1234,
  macs: 5_600_000,
})
const complete = (trial: number, fitness: number): StudyEvent => ({
  kind: 'complete',
  trial,
  fitness,
  metrics: { samples: 1, top1: fitness, top5: 1, perClass: [], confusion: [] },
  iterations: 10,
  weightsHash: 'ab',
})

/** A search as the display sees it: `tell` advances the study, `at` sets the seconds of both clocks. */
function searching(terminal: boolean) {
  const { stream: stderr, text } = stream(terminal)
  const stdout = stream(false).stream
  let now = 0
  let state: StudyState = replay([{ event: { kind: 'created', record }, elapsed: 0 }])
  const display = showSearch(createOutput({ json: false, quiet: false, color: false }, stdout, stderr), stderr, () => 1000 * now)
  return {
    text,
    display,
    begin: () => display.update({ kind: 'study', folder: 'runs/x', state }),
    at: (seconds: number) => {
      now = seconds
    },
    tell: (event: StudyEvent) => {
      state = advance(state, event)
      display.update({ kind: 'event', event, state, elapsed: now })
    },
  }
}

describe('search display', () => {
  it('shows on a terminal trials, the best, counts with reasons, what is under way and the time left', () => {
    const { text, display, begin, at, tell } = searching(true)
    display.update({ kind: 'preflight', fastest: latency, seconds: 90 })
    begin()
    for (let i = 0; i < 5; i++) tell(proposed(i))
    at(10)
    tell({ kind: 'measured', trial: 0, latency })
    tell({ kind: 'measured', trial: 1, latency })
    tell({ kind: 'rejected', trial: 2, reason: 'parameters: 3 > 2' })
    display.update({ kind: 'stage', trial: 1, progress: { stage: 'train', fraction: 0.5, loss: 1.234 } })
    display.update({ kind: 'stage', trial: 3, progress: { stage: 'validate', fraction: 0.25 } })
    expect(screenOf(text()).join('\n')).to.include('10 s, about 1 min 20 s left') // the estimate of the pre-flight
    tell(complete(0, 0.5))
    at(20)
    tell({ kind: 'failed', trial: 4, reason: 'crashed: SIGSEGV' })
    tell(complete(1, 0.8))
    expect(screenOf(text()).slice(0, 8)).to.deep.equal([
      'pre-flight: the smallest network of the space takes 0.250 ms (p90); the search will take about 1 min 30 s',
      'searching test: evolution, p90<1ms@99%, ≤ 100 k parameters, in runs/x',
      'trial 2   rejected  parameters: 3 > 2',
      'trial 0     50.0 %  p90 0.250 ms  1.23 k parameters  5.60 M MACs  random',
      'trial 4   failed    crashed: SIGSEGV',
      'trial 1     80.0 %  p90 0.250 ms  1.23 k parameters  5.60 M MACs  random',
      '',
      // 4 of 14 trials in 20 s: 50 s for the other 10; the winner's 25 steps at 10 s for 10 steps: 25 s
      '  trials  ███████················· 4/14   20 s, about 1 min 15 s left',
    ])
    expect(screenOf(text()).slice(8)).to.deep.equal([
      '  best    80.0 %, p90 0.250 ms, 1.23 k parameters (trial 1)',
      '  so far  2 trained, 1 rejected, 1 failed (1 parameters, 1 crashed)',
      '  now     trial 3: validating  25 %',
    ])
    tell({ kind: 'finishing', trial: 1 })
    display.update({ kind: 'stage', trial: 1, progress: { stage: 'train', fraction: 0.1, loss: 0.9 } })
    at(21)
    display.update({ kind: 'stage', trial: 1, progress: { stage: 'train', fraction: 0.2, loss: 0.8 } })
    expect(screenOf(text()).join('\n')).to.include('the winner, trial 1: training  20 %  loss 0.80')
    display.end()
    expect(screenOf(text()).at(-1)).to.equal('trial 1 is the best: training it on')
  })

  it('writes only lines where there is no terminal', () => {
    const { text, display, begin, tell } = searching(false)
    begin()
    tell(proposed(0))
    display.update({ kind: 'stage', trial: 0, progress: { stage: 'train', fraction: 0.5 } })
    tell({ kind: 'stopped', reason: 'the time of 1 s is over' })
    expect(text()).to.not.include('\x1b')
    expect(text().trimEnd().split('\n')).to.have.length(2)
  })

  it("tells a child's parent and mutations", () => {
    const child = {
      id: 7,
      parent: 3,
      mutations: ['filters[1]', 'head'],
      params: 10,
      macs: 10,
      reason: null,
      latency,
      fitness: 0.1234,
      state: 'complete',
      iterations: 9,
    }
    expect(trialLine(child as unknown as Trial)).to.match(/^trial 7 .*12\.3 %.*from 3: filters\[1\], head$/)
    expect(trialLine({ ...child, skipped: 2 } as unknown as Trial), 'what a GPU left out is told').to.match(/head {2}2 of 9 steps skipped$/)
    const both = { ...latency, p90: 0.5, elsewhere: [{ ...latency, p90: 2 }] }
    expect(trialLine({ ...child, latency: both } as unknown as Trial)).to.include('p90 0.500 ms and 2.00 ms')
  })
})
