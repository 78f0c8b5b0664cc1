package org.alpaca4j.core.internal.torch;

import ai.djl.engine.Engine;
import ai.djl.pytorch.jni.JniUtils;

/** The process's one PyTorch engine: started on first use, with the settings this library needs. */
public final class Torch {
  /** The DJL name of the engine. */
  public static final String ENGINE = "PyTorch";

  private static final ThreadLocal<Boolean> PREPARED =
      ThreadLocal.withInitial(
          () -> {
            // The graph optimizer re-specialises on every new shape: it costs seconds, gains
            // nothing.
            JniUtils.setGraphExecutorOptimize(false);
            return true;
          });

  private Torch() {}

  /** Starts the engine; later calls do nothing. */
  public static void initialize() {
    Holder.start();
  }

  /** Sets what libtorch keeps per thread; cheap after the first call on a thread. */
  static void prepareThread() {
    PREPARED.get();
  }

  /** Returns the number of threads that operators use. */
  public static int threads() {
    initialize();
    return JniUtils.getNumThreads();
  }

  private static final class Holder {
    static {
      // DJL reports each start to its authors unless told not to; a library must not.
      if (System.getProperty("OPT_OUT_TRACKING") == null) {
        System.setProperty("OPT_OUT_TRACKING", "true");
      }
      if (System.getProperty("ai.djl.pytorch.graph_optimizer") == null) {
        System.setProperty("ai.djl.pytorch.graph_optimizer", "false");
      }
      NativeMemory.prepareEnvironment();
      Engine.getEngine(ENGINE);
    }

    static void start() {}
  }
}
