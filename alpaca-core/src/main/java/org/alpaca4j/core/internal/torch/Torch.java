package org.alpaca4j.core.internal.torch;

import ai.djl.engine.Engine;
import ai.djl.pytorch.jni.JniUtils;
import com.sun.jna.Function;
import com.sun.jna.NativeLong;
import com.sun.jna.Platform;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The process's one PyTorch engine: started on first use, with the settings this library needs. */
public final class Torch {
  /** The DJL name of the engine. */
  public static final String ENGINE = "PyTorch";

  private static final Logger log = LoggerFactory.getLogger(Torch.class);

  private static final String KERNELS_KEPT = "128";

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

  /**
   * Gives memory that was freed back to the system, where the C library is glibc; elsewhere nothing
   * happens. What loading and tokenising used and freed would otherwise stay with the process, in
   * pieces too small for a training step's tensors.
   */
  public static void releaseFreeMemory() {
    if (!Platform.isLinux()) {
      return;
    }
    try {
      Function.getFunction("c", "malloc_trim").invokeInt(new Object[] {new NativeLong(0)});
    } catch (UnsatisfiedLinkError e) {
      log.debug("no malloc_trim in this C library", e);
    }
  }

  /**
   * oneDNN, and PyTorch beside it, keep the code generated for each of the last 1,024 shapes. Every
   * training step has another number of tokens, so hundreds of megabytes would pile up; a step needs
   * about fifty. Both read the environment when they are first used; what the user set there stays.
   */
  private static void limitKernelCaches() {
    if (!Platform.isLinux()) {
      return;
    }
    for (String name : List.of("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")) {
      Function.getFunction("c", "setenv").invokeInt(new Object[] {name, KERNELS_KEPT, 0});
    }
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
      limitKernelCaches();
      Engine.getEngine(ENGINE);
    }

    static void start() {}
  }
}
