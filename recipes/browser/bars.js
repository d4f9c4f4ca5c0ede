/** Probabilities as bars: a table for those who hear it, bars for those who see it. */

const ALL_UP_TO = 12; // of more classes, the likeliest
const LIKELIEST = 10;

export class Bars {
  #rows;
  #names;

  /**
   * @param {HTMLTableElement} table With a caption and a body.
   * @param {string[]} classNames
   */
  constructor(table, classNames) {
    const many = classNames.length;
    this.#names = classNames;
    this.#rows = Array.from({ length: this.#all ? many : LIKELIEST }, row);
    table.tBodies[0].replaceChildren(...this.#rows.map(({ line }) => line));
    table.caption.textContent = this.#all
      ? "Probability of each class"
      : `Probabilities of the ${LIKELIEST} likeliest of ${many} classes`;
    this.clear();
  }

  clear() {
    this.#rows.forEach((row, place) => fill(row, { name: this.#all ? this.#names[place] : "" }));
  }

  /**
   * @param {number[]} probabilities One for each class.
   * @param {number[]} there The places of the classes that are said.
   */
  show(probabilities, there) {
    const places = [...probabilities.keys()];
    const falling = places.slice().sort((a, b) => probabilities[b] - probabilities[a]);
    const shown = this.#all ? places : falling;
    this.#rows.forEach((row, place) => {
      const index = shown[place];
      const best = there.includes(index);
      fill(row, { name: this.#names[index], probability: probabilities[index], best });
    });
  }

  get #all() {
    return this.#names.length <= ALL_UP_TO;
  }
}

/** As in "97.1 %". */
export function percent(probability) {
  return `${(100 * probability).toFixed(1)} %`;
}

function row() {
  const tags = ["tr", "th", "td", "div", "td"];
  const [line, name, track, bar, figure] = tags.map((tag) => document.createElement(tag));
  name.scope = "row";
  track.className = "track";
  figure.className = "figure";
  track.append(bar);
  line.append(name, track, figure);
  return { line, name, bar, figure };
}

function fill({ line, name, bar, figure }, { name: text, probability, best = false }) {
  name.textContent = name.title = text; // what is too long to be seen is in the title
  bar.style.width = `${100 * (probability ?? 0)}%`;
  figure.textContent = probability === undefined ? "" : percent(probability);
  line.classList.toggle("best", best);
}
