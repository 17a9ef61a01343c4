#include "runtime/tuning.h"

#include <algorithm>
#include <random>

#include "runtime/random_values.h"

namespace tvn {
namespace {

constexpr char usual_way[] = "usual";
/** Of the time of a plan, below which a step is not worth a search. */
constexpr double least_share = 0.01;

/** About proportional to its time: a byte takes as long as a multiplication. */
int64_t cost(const Stage& stage) { return stage.macs + stage.bytes; }

std::string name_of(const Tiling& tiling) {
  std::string name;
  const auto add = [&](const std::string& text) { name += (name.empty() ? "" : ", ") + text; };
  if (tiling.panel) add("panels of " + std::to_string(tiling.panel));
  if (tiling.block) add(tiling.block < 0 ? "smaller blocks" : "larger blocks");
  if (!tiling.fetch_y) add("output not fetched");
  return name.empty() ? usual_way : name;
}

}  // namespace

/** One way to compute a step. */
struct Tuner::Way {
  std::string name = usual_way;
  std::optional<Band> band = {};  // null: layers apart
  Tiling tiling = {};             // of a layer alone
};

struct Tuner::Candidate {
  const Step* step;
  std::string key;
  int64_t cost;
  std::vector<Way> ways;  // the first is the usual one
};

Tuner::Tuner(const Program& program, const Layers& layers, const std::vector<Operands>& parameters, const LayerOptions& options,
             const BandLimits& bands, const Tuning& tuning, ThreadPool& pool)
    : program_(program), layers_(layers), parameters_(parameters), options_(options), bands_(bands), tuning_(tuning), pool_(pool) {}

std::vector<Tuner::Way> Tuner::ways(const Step& step) const {
  std::vector<Way> list{{.band = step.band}};
  if (!step.band) {
    for (const Tiling& tiling : layers_[step.first]->tilings()) list.push_back({.name = name_of(tiling), .tiling = tiling});
    return list;
  }
  list.push_back({.name = "apart"});
  if (std::optional<Band> band = step.band->with_rows(-1)) list.push_back({.name = "half the rows", .band = std::move(band)});
  if (std::optional<Band> band = step.band->with_rows(1)) list.push_back({.name = "twice the rows", .band = std::move(band)});
  return list;
}

std::vector<Step> Tuner::steps() {
  const Clock::time_point end = in_seconds(tuning_.seconds);
  std::vector<Step> steps = make_steps(program_, layers_, options_.batch, options_.threads, bands_);
  if (tuning_.known.empty() && tuning_.seconds <= 0) return steps;
  for (const Step& step : steps) cost_ += cost(describe(program_, layers_, step, options_));
  choose(steps, true, end);
  choose(steps, false, end);
  return steps;
}

/** Cuts the steps that are bands, or those that are not, as was chosen or is found by `end`. */
void Tuner::choose(std::vector<Step>& steps, bool bands, Clock::time_point end) {
  std::vector<Candidate> candidates(steps.size());
  std::vector<Candidate*> open;
  for (size_t i = 0; i < steps.size(); i++) {
    Candidate& c = candidates[i];
    if (steps[i].band.has_value() == bands) c.ways = ways(steps[i]);
    if (c.ways.size() < 2) continue;
    const Stage stage = describe(program_, layers_, steps[i], options_);
    c.step = &steps[i];
    c.key = stage.key;
    c.cost = cost(stage);
    const bool first = std::none_of(open.begin(), open.end(), [&](const Candidate* other) { return other->key == c.key; });
    if (const auto known = tuning_.known.find(c.key); known != tuning_.known.end())
      choices_.insert(*known);
    else if (tuning_.seconds > 0 && first && static_cast<double>(c.cost) >= least_share * static_cast<double>(cost_))
      open.push_back(&c);
  }
  if (!open.empty() && Clock::now() < end) {
    try {
      measure(steps, open, end);
    } catch (const std::exception&) {  // too little memory to try anything
    }
    for (const Candidate* c : open)
      if (!c->step->band) layers_[c->step->first]->set_tiling({});
  }

  std::vector<Step> cut;
  for (size_t i = 0; i < steps.size(); i++) {
    const Candidate& c = candidates[i];
    const auto choice = choices_.find(c.key);
    const auto chosen =
        std::find_if(c.ways.begin(), c.ways.end(), [&](const Way& way) { return choice != choices_.end() && way.name == choice->second; });
    if (chosen == c.ways.end() || chosen == c.ways.begin())
      cut.push_back(steps[i]);
    else
      take(steps[i], *chosen, cut);
  }
  steps = std::move(cut);
}

void Tuner::take(const Step& step, const Way& way, std::vector<Step>& steps) {
  if (step.band && !way.band) {
    for (size_t i = step.first; i < step.end; i++) steps.push_back({i, i + 1, {}, {}});
    return;
  }
  if (!step.band) layers_[step.first]->set_tiling(way.tiling);
  steps.push_back({step.first, step.end, way.band, way.name});
}

/** Finds the choices of `open`, the most costly first, in memory of its own: as much again as the plan has beside its weights, for bands
 * twice. */
void Tuner::measure(const std::vector<Step>& steps, std::vector<Candidate*>& open, Clock::time_point end) {
  std::sort(open.begin(), open.end(), [](const Candidate* a, const Candidate* b) { return a->cost > b->cost; });
  size_t scratch = 0;
  int64_t cost_left = 0;
  for (const Candidate* c : open) {
    cost_left += c->cost;
    for (const Way& way : c->ways) {
      if (way.band) scratch = std::max(scratch, way.band->scratch());
      if (c->step->band) continue;
      Layer& layer = *layers_[c->step->first];
      layer.set_tiling(way.tiling);
      scratch = std::max(scratch, layer.scratch());
    }
    for (size_t i = c->step->first; i < c->step->end; i++) layers_[i]->pack(parameters_[i], pool_);
  }

  std::minstd_rand random;
  std::vector<uint8_t> clips(static_cast<size_t>(options_.batch * program_.shape(program_.input).size()));
  for (uint8_t& byte : clips) byte = static_cast<uint8_t>(random() >> 8);
  const auto layout_of = [&](std::vector<Step> of) {
    auto layout = std::make_unique<Layout>(program_, layers_, std::move(of), options_.batch, parameters_, scratch);
    layout->set_clips(clips.data());
    fill_random(layout->arena());
    return layout;
  };
  const auto layout = layout_of(steps);
  const auto apart =
      open.front()->step->band ? layout_of(make_steps(program_, layers_, options_.batch, options_.threads, no_bands)) : nullptr;

  for (const Candidate* c : open) {
    const auto run = [&](size_t i, int repeat) {
      const Way& way = c->ways[i];
      const Step& step = *c->step;
      if (!step.band) {
        layers_[step.first]->set_tiling(way.tiling);
        layers_[step.first]->pack(parameters_[step.first], pool_);
      }
      const auto begin = Clock::now();
      for (int r = 0; r < repeat; r++)
        if (step.band && !way.band)
          for (size_t layer = step.first; layer < step.end; layer++) apart->run(apart->steps()[layer], pool_);
        else
          layout->run({step.first, step.end, way.band, {}}, pool_);
      return seconds_since(begin);
    };
    const double left = std::max(0.0, -seconds_since(end)),
                 share = static_cast<double>(c->cost) / static_cast<double>(std::max<int64_t>(cost_left, 1));
    if (const std::optional<size_t> way = fastest(c->ways.size(), run, in_seconds(left * share), end))
      choices_[c->key] = c->ways[*way].name;
    else if (left > 0.9 * tuning_.seconds)
      choices_[c->key] = usual_way;  // it had all the time there is, and will not have more
    cost_left -= c->cost;
  }
}

}  // namespace tvn
