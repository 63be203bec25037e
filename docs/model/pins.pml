/* Pins against reclamation, with store buffers. See README.md beside this file.
 *
 * One writer that does not die, one process that reads, which may fork and be killed, and whose slot may be claimed again.
 * A root is a block that leads to a leaf, which two roots share. The stores on which the argument of the two fences
 * leans go through a buffer of one store for each process, as on x86: it is emptied at any time, by the next such store,
 * by a fence and by every read-modify-write.
 */

#ifndef MUTANT
#define MUTANT 0
#endif
#ifndef COMMITS
#define COMMITS 3
#endif
#ifndef PINS
#define PINS 2 /* how often each reader pins */
#endif
#ifndef BLOCKS
#define BLOCKS 5
#endif
#ifndef CLAIMS
#define CLAIMS 1
#endif

#define NONE 15
#define ALL 15   /* a pin in the making */
#define VIEW 0   /* the entry of a view comes before */
#define STATE 1  /* that of the snapshot it was made from */
#define LEAF 1   /* a pin of one page: of the leaf alone */
#define SCANS 2  /* scans that may be disturbed before a commit gives up */

#define BIT(b) (1 << (b))
#define HAS(set, b) (((set) >> (b)) & 1)

/* Shared memory. */
byte root = 0;
byte newest = 1;  /* the word beside the root that says which frame is shown */
byte seq[BLOCKS]; /* the frame that made a block; 0 while it is being written */
byte leaf[BLOCKS];
byte pin[2];  /* 0, a seq, or ALL */
byte page[2]; /* 0 = all blocks, LEAF; of a free entry, the link of a free list */
byte changes = 0;

/* What the kernel says. */
bool alive = true;
bool child = false;  /* a process that the reader forked lives */
bool locked = false; /* the byte of the reader's slot is locked by whoever clears it */

/* Store buffers: the writer's holds a root, the reader's a store to a word of an entry. */
byte coming = NONE;
byte word = NONE, value = 0;

/* Of the model: whether what the child sees is still held by its parent's pin. */
bool lent = false;
byte seen = 0, shared = 0;
bool ended = false;

/* The words of entries, as the reader's buffer names them. */
#define PIN(e) (2 * (e))
#define PAGE(e) (2 * (e) + 1)

/* Within a step. */
inline flush() {
    if
    :: word == NONE
    :: word == PIN(VIEW) -> pin[VIEW] = value
    :: word == PIN(STATE) -> pin[STATE] = value
    :: word == PAGE(VIEW) -> page[VIEW] = value
    :: word == PAGE(STATE) -> page[STATE] = value
    fi;
    word = NONE;
    value = 0
}

/* The reader stores into an entry. */
inline store(where, what) {
    atomic { flush(); word = where; value = what }
}

proctype Buffers() {
end:
    do
    :: atomic { word != NONE -> flush() }
    :: d_step { coming != NONE -> root = coming; coming = NONE }
    od
}

inline unpin(e) {
#if MUTANT == 5 /* the change counter moves after the entry is cleared */
    store(PIN(e), 0);
    atomic { flush(); changes++ }
#else
    atomic { flush(); changes++ }
    store(PIN(e), 0);
#endif
    store(PAGE(e), LEAF)
}

/* A root is what it was when it was loaded. */
#define ROOT_STANDS assert(seq[at] == want && leaf[at] == below)
#define LEAF_STANDS assert(seq[below] == made)

proctype Reader() {
    byte at = 0, want = 0, below = 0, made = 0, n = PINS, claims = CLAIMS;
begin:
    {
        do
        :: n > 0 ->
            store(PAGE(STATE), 0);
#if MUTANT != 3 /* a pin stores its seq alone, and not first that it covers all */
            store(PIN(STATE), ALL);
#endif
#if MUTANT != 1 /* a pin has no fence */
            atomic { flush() }
#endif
            d_step { at = root; want = seq[at]; below = leaf[at]; made = seq[below]; assert(want != 0) }
#if MUTANT == 11 /* a pin's seq is read from another word than the root's own */
            store(PIN(STATE), newest);
#else
            atomic { ROOT_STANDS; store(PIN(STATE), seq[at]) }
#endif
#if MUTANT == 3
            atomic { flush() }
#endif
            if
            :: d_step { ROOT_STANDS; LEAF_STANDS }
            /* The pin is narrowed to one page. */
            :: store(PAGE(STATE), LEAF);
                d_step { LEAF_STANDS }
            /* A view takes over from its snapshot. */
            :: 
#if MUTANT == 9 /* the snapshot goes before the view stands */
                unpin(STATE);
                store(PAGE(VIEW), LEAF);
                store(PIN(VIEW), want);
#else
                store(PAGE(VIEW), LEAF);
                store(PIN(VIEW), want);
                unpin(STATE);
#endif
                d_step { LEAF_STANDS }
                if
                :: d_step { !child && n == 1 -> child = true; lent = true; seen = below; shared = made }
                :: true
                fi;
                d_step { LEAF_STANDS; lent = false }
                unpin(VIEW);
                goto next
            fi;
            unpin(STATE);
next:       atomic { n--; at = 0; want = 0; below = 0; made = 0 }
        :: else -> break
        od;
        atomic { flush(); ended = true }
end_done: false
    } unless {
        atomic { !alive -> at = 0; want = 0; below = 0; made = 0; flush() }
        if
        /* The slot is claimed again; its new process clears what the old one left. */
        :: atomic { claims > 0 && !locked && !child -> claims--; alive = true; n = 1 }
            pin[VIEW] = 0;
            pin[STATE] = 0;
            goto begin
        :: ended = true;
end_dead:   false
        fi
    }
}

/* Reads what its parent held when it was forked, for as long as the parent does not let go of it. */
proctype Child() {
end:
    do
    :: d_step { child -> assert(!lent || seq[seen] == shared) }
        d_step { assert(!lent || seq[seen] == shared); child = false; lent = false; seen = 0; shared = 0 }
    od
}

proctype Kernel() {
    bool spent = false;
end:
    do
    :: atomic { alive && !spent && (pin[VIEW] != 0 || pin[STATE] != 0 || word != NONE) -> spent = true; alive = false; flush() }
    od
}

/* What the reader's pins hold that a dead process left is given up. */
#if MUTANT == 6 /* a pin is cleared by time, not by death */
#define REAPABLE (!locked)
#elif MUTANT == 7 /* a dead process's pins are cleared while one that it forked lives */
#define REAPABLE (!alive && !locked)
#else
#define REAPABLE (!alive && !child && !locked)
#endif

inline reap() {
    if
    :: (pin[VIEW] != 0 || pin[STATE] != 0) && REAPABLE ->
#if MUTANT == 8 /* pins are cleared without the slot's byte, which may be claimed meanwhile */
        pin[VIEW] = 0;
        pin[STATE] = 0
#else
        if
        :: atomic { REAPABLE -> locked = true }
            pin[VIEW] = 0;
            pin[STATE] = 0;
            locked = false
        :: else
        fi
#endif
    :: else
    fi
}

#if MUTANT == 10 /* a pin covers only what was made at its seq */
#define LIVES(b, s) (born[b] == (s))
#else
#define LIVES(b, s) (born[b] <= (s) && (s) < died[b])
#endif
#if MUTANT == 13 /* a pin in the making covers nothing */
#define COVERS(s, p, b) ((s) != 0 && (s) != ALL && LIVES(b, s) && ((p) == 0 || is_leaf[b]))
#else
#define COVERS(s, p, b) ((s) == ALL || ((s) != 0 && LIVES(b, s) && ((p) == 0 || is_leaf[b])))
#endif

inline scan() {
    tries = 0;
    do
    :: tries < SCANS ->
        before = changes;
        s0 = pin[VIEW];
        p0 = page[VIEW];
        s1 = pin[STATE];
        p1 = page[STATE];
        atomic {
            if
#if MUTANT == 4 /* one scan is believed, whatever moved meanwhile */
            :: true -> tries = NONE
#else
            :: changes == before -> tries = NONE
            :: else -> tries++
#endif
            fi
        }
    :: else -> break
    od;
    atomic {
        if
        :: tries == NONE ->
            for (i : 0 .. BLOCKS - 1) {
                if
                :: HAS(limbo, i) && !COVERS(s0, p0, i) && !COVERS(s1, p1, i) ->
                    assert(!HAS(free, i) && i != old && i != leaf[old]);
                    limbo = limbo & ~BIT(i); free = free | BIT(i); born[i] = 0; died[i] = 0; is_leaf[i] = false
                :: else
                fi
            }
        :: else
        fi;
        i = 0; tries = 0; before = 0; s0 = 0; p0 = 0; s1 = 0; p1 = 0
    }
}

/* Within a step: a free block, which is being written from here on. The buffer is emptied by that. */
inline take(b) {
    b = NONE;
    for (i : 0 .. BLOCKS - 1) {
        if
        :: b == NONE && HAS(free, i) -> b = i
        :: else
        fi
    }
    i = 0;
    if
    :: b != NONE ->
        if
        :: coming != NONE -> root = coming; coming = NONE
        :: else
        fi;
        free = free & ~BIT(b); seq[b] = 0; leaf[b] = 0
    :: else
    fi
}

inline retire(b, from, to, of_leaf) {
    limbo = limbo | BIT(b); born[b] = from; died[b] = to; is_leaf[b] = of_leaf
}

proctype Writer() {
    byte free = (BIT(BLOCKS) - 1) & ~3, limbo = 0, old = 0, new = 0, low = 0, at = 1, left = COMMITS;
    byte born[BLOCKS], died[BLOCKS];
    bool is_leaf[BLOCKS];
    byte i = 0, tries = 0, before = 0, s0 = 0, p0 = 0, s1 = 0, p1 = 0;
    do
    :: left > 0 ->
        left--;
        /* Every second commit writes the leaf. */
        atomic { take(new) }
        if
        :: new != NONE && at % 2 == 0 ->
            atomic { take(low) }
            if
            :: low != NONE -> d_step { seq[low] = at + 1 }
            :: else -> d_step { free = free | BIT(new); new = NONE }
            fi
        :: else -> low = leaf[old]
        fi;
        if
        :: new != NONE ->
            d_step { seq[new] = at + 1; leaf[new] = low; at++ }
#if MUTANT == 12 /* the pins are scanned, and blocks freed, before the root is shown */
            atomic {
                retire(old, seq[old], at, false);
                if
                :: low != leaf[old] -> retire(leaf[old], seq[leaf[old]], at, true)
                :: else
                fi;
                old = new
            }
            reap();
            scan();
            root = new;
            newest = at
#else
            coming = new;
#if MUTANT != 2 /* a commit has no fence */
            d_step { root = new; coming = NONE }
            newest = at;
#endif
            atomic {
                retire(old, seq[old], at, false);
                if
                :: low != leaf[old] -> retire(leaf[old], seq[leaf[old]], at, true)
                :: else
                fi;
                old = new
            }
            reap();
            scan()
#endif
        :: else -> reap(); scan()
        fi;
        atomic { new = 0; low = 0 }
    :: else -> break
    od;
    /* When nobody reads any more, all is given back but what the root reaches. */
    ended && !child;
    reap();
    scan();
    assert(limbo == 0 && free == ((BIT(BLOCKS) - 1) & ~BIT(old) & ~BIT(leaf[old])))
}

init {
    d_step { seq[0] = 1; leaf[0] = 1; seq[1] = 1 }
    atomic { run Kernel(); run Buffers(); run Child(); run Reader(); run Writer() }
}
