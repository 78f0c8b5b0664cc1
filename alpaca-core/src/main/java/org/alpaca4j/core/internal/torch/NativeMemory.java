package org.alpaca4j.core.internal.torch;

import com.sun.jna.Function;
import com.sun.jna.NativeLong;
import com.sun.jna.Platform;
import java.util.List;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps libtorch's memory near what is in use, and quick to reach. Two habits of what lies below it
 * cost a training process hundreds of megabytes: glibc's malloc keeps freed blocks of up to 32 MB
 * in arenas that fragment, and oneDNN keeps the code it generated for the last 1,024 shapes. And
 * Linux gives memory in pages of 4 KiB unless asked for larger ones, so that a training step, which
 * walks through gigabytes, spends a few percent of its time on looking pages up. On other systems
 * than Linux with glibc nothing is changed. What the user set in the environment stays.
 */
public final class NativeMemory {
  private static final Logger log = LoggerFactory.getLogger(NativeMemory.class);

  /** Shapes whose code is kept. A step meets about fifty, the next step, being as long, others. */
  private static final String KERNELS = "128";

  // Parameters of mallopt(3).
  private static final int M_TRIM_THRESHOLD = -1;
  private static final int M_MMAP_THRESHOLD = -3;

  /** Blocks from this size on are mapped, and go back to the system when freed. */
  private static final int LARGE_BLOCK_BYTES = 32 << 20;

  /** Free memory at the end of an arena beyond this size goes back too. */
  private static final int FREE_BYTES_KEPT = 64 << 20;

  private NativeMemory() {}

  /** To be called before libtorch is loaded: it reads the environment then. */
  static void prepareEnvironment() {
    if (Platform.isLinux()) {
      call("setenv", "THP_MEM_ALLOC_ENABLE", "1", 0); // PyTorch: huge pages for tensors from 2 MiB
      // Of oneDNN, and of PyTorch's layer above it.
      for (String cache : List.of("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")) {
        call("setenv", cache, KERNELS, 0);
      }
    }
  }

  /**
   * Gives back what is free now, such as what loading and tokenising left, and fixes malloc's
   * thresholds, for the whole process: to the values that they grow to by themselves, but from the
   * start. Smaller ones would save more memory, and cost page faults at every temporary tensor.
   */
  public static void giveBackWhatIsFree() {
    Map<String, String> environment = System.getenv();
    boolean set =
        environment.containsKey("MALLOC_MMAP_THRESHOLD_")
            || environment.containsKey("MALLOC_TRIM_THRESHOLD_")
            || environment.getOrDefault("GLIBC_TUNABLES", "").contains("malloc");
    if (!Platform.isLinux() || set) {
      return;
    }
    call("mallopt", M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES);
    call("mallopt", M_TRIM_THRESHOLD, FREE_BYTES_KEPT);
    call("malloc_trim", new NativeLong(0));
  }

  private static void call(String function, Object... arguments) {
    try {
      Function.getFunction("c", function).invokeInt(arguments);
    } catch (UnsatisfiedLinkError e) {
      log.debug("this C library has no {}", function, e);
    }
  }
}
