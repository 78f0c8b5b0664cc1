package org.alpaca4j.core.internal.pickle;

import java.util.List;
import java.util.Optional;

/**
 * What a pickle may name, and what becomes of it. An implementation answers with values of its own
 * and never looks anything up by reflection.
 */
public interface PickleGlobals {
  /**
   * Returns the value that stands for a permitted global.
   *
   * @return empty if it is not permitted: the pickle is refused, naming it
   */
  Optional<Object> find(String module, String name);

  /**
   * Returns what a pickle's "call" of a permitted global stands for.
   *
   * @throws PickleException if it is not permitted, or the arguments are not those expected
   */
  Object call(Object function, List<Object> arguments) throws PickleException;

  /**
   * Returns what a persistent id stands for.
   *
   * @throws PickleException if it is not a known one
   */
  Object persistent(Object id) throws PickleException;

  /** Permits nothing: for pickles of plain values. */
  PickleGlobals NONE =
      new PickleGlobals() {
        @Override
        public Optional<Object> find(String module, String name) {
          return Optional.empty();
        }

        @Override
        public Object call(Object function, List<Object> arguments) throws PickleException {
          throw new PickleException("a call is not permitted here");
        }

        @Override
        public Object persistent(Object id) throws PickleException {
          throw new PickleException("a persistent id is not permitted here");
        }
      };
}
