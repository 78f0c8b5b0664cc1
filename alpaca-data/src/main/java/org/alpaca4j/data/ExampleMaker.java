package org.alpaca4j.data;

/** Makes an example of a record; used by several threads at once. */
interface ExampleMaker<R> {
  Made make(R record);

  /**
   * An example as it was made of a record.
   *
   * @param example ids and labels
   * @param cut whether it was cut at the maximal length already
   */
  record Made(SupervisedExample example, boolean cut) {

    static Made whole(SupervisedExample example) {
      return new Made(example, false);
    }
  }
}
